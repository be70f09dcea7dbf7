"""A run as a page: one HTML file with tables, figures, proof, machine, and the command that makes it again.
All runs of a machine as a site: `gallery.py` gathers them, `gallery_tables.py` draws them, `site.py` writes it.

`reading.py` gathers a run, the `*_figures.py` draw it, `sections.py` puts it in order, `page.py` renders it.
Never imports a command, and nothing from the network: the file must open anywhere.
Start with `sections.py`.
"""
