# make demo   sets everything up, then describes bundled pictures with and without mitigation
# make test   sets everything up, then runs the tests
# make check  lint, format, types, import layers, docs current
# make bench  cost of the engine and its methods as ratios to plain generate
# make test-versions  the tests on the oldest, the pinned and the newest transformers and torch (long)
# make test-families  every family of models, driven; writes docs/models.md (long)
# make docs   writes the generated parts of the documentation anew
# make results  measures all methods on the bundled model and writes docs/results-toy.* anew (long)

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test test-versions test-families check bench docs results clean

setup: $(READY)

# The stamp comes last: a set-up that was interrupted is done again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "seesay needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up in .venv (a few minutes the first time)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/seesay demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-versions: $(READY)
	$(BIN)/python .ci/versions.py --out docs/versions.md

test-families: $(READY)
	PYTHONPATH=tests/support $(BIN)/python -m family_table --jobs 2 --rows .venv/families.jsonl --out docs/models.md

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py
	$(BIN)/python docs/generate.py --check

bench: $(READY)
	$(BIN)/python bench/decode.py

docs: $(READY)
	$(BIN)/python docs/generate.py

# Both runs go on where they stopped; the second adds sweeps to the first one's tables.
SUMS := attention-lens + farsight; agla + attention-lens; agla + eah
METHODS := attention-lens; agla; eah; farsight; vasparse; vcd; pai; $(SUMS)
WORKERS ?= 1
results: $(READY)
	$(BIN)/seesay evaluate --suite toy --methods "$(METHODS)" --batch-size 32 \
		--workers $(WORKERS) --out runs/toy
	$(BIN)/seesay evaluate --suite toy-captions --methods plain --batch-size 32 \
		--sweep attention-lens.alpha=0.1:1.0:0.1 --sweep vcd.alpha=0.25,0.5,1.0 \
		--workers $(WORKERS) --out runs/toy-sweeps
	$(BIN)/seesay report runs/toy runs/toy-sweeps --title "Results on the bundled model" \
		--out docs/results-toy.md --out docs/results-toy.html --leaderboard docs/leaderboard.md

clean:
	rm -rf .venv .venv-versions .mypy_cache .ruff_cache .pytest_cache
