"""`mensageiro schema`: the contracts of the queue interface, as the types have them."""

import json
from pathlib import Path

import click

from gateway import config, schema
from gateway.cli.shared import fail, one_line


@click.command("schema")
@click.argument("name", required=False)
@click.option("--asyncapi", is_flag=True, help="The AsyncAPI 3 document of the whole interface.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write every schema into this folder.")
@click.option("--prefix", default="sms", show_default=True, help="Topic prefix in the AsyncAPI document.")
def schema_command(name: str | None, asyncapi: bool, out: Path | None, prefix: str) -> None:
    """Print the JSON Schema of a payload or event, or their names."""
    if sum((name is not None, asyncapi, out is not None)) > 1:
        raise click.UsageError("NAME, --asyncapi and --out exclude each other")
    with one_line():
        config.parse_broker({"topic_prefix": prefix}, {})
    documents = schema.schemas()
    if out is not None:
        with one_line():
            _write(out, prefix)
        click.echo(f"written to {out}")
    elif asyncapi:
        click.echo(json.dumps(schema.asyncapi(prefix), indent=2))
    elif name is None:
        click.echo("\n".join(documents))
    elif name in documents:
        click.echo(json.dumps(documents[name], indent=2))
    else:
        fail(f"no schema named {name}; there are {', '.join(documents)}", 2)


def _write(out: Path, prefix: str) -> None:
    for name, text in schema.files(prefix).items():
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
