"""`python -m gateway` is `mensageiro`."""

from gateway.cli import main

if __name__ == "__main__":
    main(prog_name="mensageiro")
