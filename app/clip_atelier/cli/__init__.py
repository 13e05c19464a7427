"""The command line: one face of the engine. Sub-commands live in `commands`, one small module each."""
