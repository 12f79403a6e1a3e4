"""`mensageiro completion`: the scripts by which shells complete, which are click's own."""

import click
from click import shell_completion

PROGRAM = "mensageiro"
VARIABLE = "_MENSAGEIRO_COMPLETE"  # by which a shell asks; click makes it of the program's name


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    \b
    bash: mensageiro completion bash >> ~/.bash_completion
    zsh:  mensageiro completion zsh > "${fpath[1]}/_mensageiro"
    fish: mensageiro completion fish > ~/.config/fish/completions/mensageiro.fish
    """
    writer = shell_completion.get_completion_class(shell)
    assert writer is not None  # the argument admits none but click's own
    click.echo(writer(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
