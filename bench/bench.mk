# Peers are programs of their own, so that none disturbs another's threads.
PEERS := $(addprefix $(BUILD)/bench/peer_,openblas dnnl xsmm)
bench: $(BUILD)/hako $(PEERS) ## kernels beside OpenBLAS, oneDNN and libxsmm; ARGS="--only softmax --json F"
	bench/run.py --hako $(BUILD)/hako --peers $(BUILD)/bench $(ARGS)

# From PyPI, each optional: about 4 GB, most of it PyTorch's.
bench-peers: $(BUILD)/hako $(PEERS) $(BUILD)/bench/pypi/bin/python ## the same with MKL, PyTorch, JAX and ONNX Runtime as well
	$(BUILD)/bench/pypi/bin/pip list 2>/dev/null | grep -E '^(mkl|torch|jax|onnxruntime) '
	bench/run.py --hako $(BUILD)/hako --peers $(BUILD)/bench --pypi $(BUILD)/bench/pypi $(ARGS)

$(BUILD)/bench/pypi/bin/python: | $(BUILD)/deps.bench
	python3 -m venv $(BUILD)/bench/pypi
	for package in numpy mkl jax "onnx onnxruntime" torch; do $(BUILD)/bench/pypi/bin/pip install -q $$package || true; done

$(BUILD)/deps.bench: scripts/install-deps
	@mkdir -p $(@D)
	@scripts/install-deps bench
	@touch $@

$(BUILD)/bench/peer_%: bench/peer_%.c bench/peer.h | $(BUILD)/deps.bench
	@mkdir -p $(@D)
	$(Q)$(CC) -O3 -march=native -I. -o $@ $< $(PEER_LIBS) -lm -lpthread

$(BUILD)/bench/peer_dnnl: bench/peer_dnnl.cpp bench/peer.h | $(BUILD)/deps.bench
	@mkdir -p $(@D)
	$(Q)$(CXX) -O2 -I. -o $@ $< -ldnnl -lm -lpthread

$(BUILD)/bench/peer_openblas: PEER_LIBS := -lopenblas
$(BUILD)/bench/peer_xsmm: PEER_LIBS := -lxsmm -lblas -ldl

bench-opencl: $(BUILD)/hako $(BUILD)/bench/peer_opencl ## kernels on an OpenCL device beside CLBlast and the CPU backend; ARGS="--target opencl:1"
	bench/opencl.py --hako $(BUILD)/hako --peers $(BUILD)/bench $(ARGS)

# Without CLBlast its row is left empty.
$(BUILD)/bench/peer_opencl: bench/peer_opencl.c bench/peer.h | $(BUILD)/deps.bench
	@mkdir -p $(@D)
	$(Q)clblast=$$(echo '#include <clblast_c.h>' | $(CC) -E - >/dev/null 2>&1 && echo "-DHAVE_CLBLAST -lclblast"); \
	    $(CC) -O2 -I. -o $@ $< $$clblast -lOpenCL -lm

bench-launch: $(BUILD)/bench/launch $(BUILD)/libhako.so ## what a launch costs beyond its work, beside NumPy and PyTorch
	HAKO_LIBRARY=$(abspath $(BUILD)/libhako.so) $(PYTHON) bench/launch.py $<

$(BUILD)/bench/launch: bench/launch.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -std=c17 -D_GNU_SOURCE -I. -o $@ $< $(BUILD)/libhako.a $(LIBS)

bench-tune: $(BUILD)/hako ## regret of the default Config and of tuning; ARGS="--logs FOLDER --only matmul --full 60"
	bench/tune.py --hako $(BUILD)/hako $(ARGS)

bench-search: $(BUILD)/bench/replay ## searches replayed on recorded spaces; LOGS="F.jsonl ..." of hako tune --log
	$< $(LOGS)

$(BUILD)/bench/replay: bench/replay.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -std=c17 -D_GNU_SOURCE -I. -o $@ $< $(BUILD)/libhako.a $(LIBS) -ljansson

bench-aa: $(BUILD)/hako $(BUILD)/bench/aa ## whether tuning claims gains that are none, by noise recorded here
	cp samples/softmax.hk $(BUILD)/bench/
	$(BUILD)/hako tune $(BUILD)/bench/softmax.hk --shapes P=512,N=512 --budget 10s --db none --log $(BUILD)/bench/noise.jsonl
	$(BUILD)/bench/aa $(BUILD)/bench/noise.jsonl

$(BUILD)/bench/aa: bench/aa.c $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -std=c17 -D_GNU_SOURCE -I. -o $@ $< $(BUILD)/libhako.a $(LIBS)
