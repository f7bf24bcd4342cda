"""What runs of DeepDriveMD have found, in one page: figures and a table made from their files.

Values are one thing and drawing is another: `runs` reads what is there, `progress`, `densities` and
`ages` make numbers of it, `drawing` makes pictures of the numbers and needs matplotlib, `page` puts
them together.
"""

from stretto.apps.deepdrivemd.figures.page import write_page

__all__ = ["write_page"]
