"""Write the report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Lead from one page to all figures, tables, models and metamers."""
    import pandas as pd

    from metamers.figures.overview import overview
    from metamers.figures.stimulus_facts import synthetic_note

    folder = Path(job.output.report).parent

    def here(path: str | Path) -> str:
        return str(Path(path).relative_to(folder))

    figures = [Path(path).with_suffix("") for path in job.input.figures]
    page = overview(
        study=job.settings["study"],
        description=job.settings["description"],
        models=job.settings["models"],
        claims=pd.read_csv(job.input.claims),
        scores=pd.read_csv(job.input.scores),
        convergence=pd.read_csv(job.input.convergence),
        figures=[here(figure) for figure in figures],
        pages={Path(path).stem: here(path) for path in job.input.pages},
        tables=[here(path) for path in job.input.statistics],
        pictures={
            here(figure): figure.with_suffix(".png").read_bytes() for figure in figures
        },
        gallery=f"{here(job.input.gallery)}/index.html",
        synthetic=bool(synthetic_note(job.input.stimuli)),
    )
    job.write_text(page, job.output.report)


main(Job(snakemake))
