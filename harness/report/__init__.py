"""A run as one HTML file: tables, figures, proof, machine and the command that makes it again. Needs no network."""
