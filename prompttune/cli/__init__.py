"""The command line: each command parses its words, calls the library, and prints."""
