"""Run the notebooks anew and keep their outputs: `python examples/run.py` (or `make notebooks`)."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient


def main() -> None:
    """Run each notebook in an empty folder; its pictures are kept as JPEG, which is small."""
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        with TemporaryDirectory() as folder:
            place = {"metadata": {"path": folder}}
            NotebookClient(notebook, record_timing=False, resources=place).execute()
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                if "image/jpeg" in output.get("data", {}):
                    output["data"].pop("image/png", None)
        notebook.metadata["language_info"] = {"name": "python"}  # not the version it ran with
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
