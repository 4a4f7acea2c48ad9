"""The command lines of ``tools/``: one file a verb, each with ``main(argv) -> exit status``."""
