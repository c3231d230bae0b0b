# The commands of the README. Each makes its own environment in .venv first, once.
PYTHON ?= python3
CORES ?= all
STUDY ?= demo
BIN := .venv/bin
export OMP_NUM_THREADS := 1
export PYTHONNOUSERSITE := 1

# Four fifths of the machine's memory, so that parallel jobs never swap.
MEMORY = $(shell $(BIN)/python -c "import psutil; print(int(psutil.virtual_memory().total * 0.8 / 1e6))")
SNAKEMAKE = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --resources mem_mb=$(MEMORY)

.DEFAULT_GOAL := help
PUBLISHED := .venv.published

.PHONY: help environment published demo smoke check-study check-gpu rehearsal test-slurm showcase test lint format documentation clean

help:  ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

environment:  ## Make .venv with the pinned versions, if it is not there
	@$(PYTHON) envs/install.py .venv

published:  ## Every number and figure that the study's public data give, without torch
	@$(PYTHON) envs/install.py $(PUBLISHED) envs/published.txt
	@PATH="$(CURDIR)/$(PUBLISHED)/bin:$$PATH" $(PUBLISHED)/bin/snakemake --cores $(CORES) published
	@echo "Look at results/published/report.html"

demo: environment  ## Run the demo study: both senses, training to figures, on a CPU
	@$(SNAKEMAKE) --config study=demo
	@$(BIN)/metamers summary demo

smoke: environment  ## Run a few networks of both senses through every rule
	@$(SNAKEMAKE) --config study=smoke
	@$(BIN)/metamers summary smoke

check-study: environment  ## Validate a study without running it: make check-study STUDY=paper
	@$(BIN)/metamers check $(STUDY)

check-gpu: environment  ## What to run first on a node with a GPU: two minutes
	@$(BIN)/metamers check-gpu

rehearsal: environment  ## Run a study in miniature: make rehearsal STUDY=paper [ONLY=figure_4]
	@$(BIN)/metamers rehearse $(STUDY)
	@$(SNAKEMAKE) --config study=results/rehearsal/inputs/study.yaml $(if $(ONLY),only=$(ONLY))
	@echo "It ran; look at results/rehearsal/report.html"

showcase: environment  ## Metamers of an ImageNet network on CPU, one photograph
	@$(SNAKEMAKE) showcase
	@echo "Look at results/showcase/showcase.png"

test: environment  ## Run all tests but those on a real Slurm
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadgroup \
		--ignore=tests/slurm $(PYTEST)

test-slurm: environment  ## Run the tests on a real Slurm, started here (needs root)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/slurm --durations=0 $(PYTEST)

lint: environment  ## Check style, types, the workflow's format and its rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

format: environment  ## Format the Python code and the workflow
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

documentation: environment  ## Generate config/README.md from the code
	$(BIN)/metamers documentation

clean:  ## Remove results and Snakemake's records, not the environment
	rm -rf results/* .snakemake logs report.zip
	git checkout -q -- results/README.md
