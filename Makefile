# Hako: build, test, install. `make help` lists the targets.
CC      ?= gcc
BUILD   ?= build
PREFIX  ?= /usr/local
OPT     ?= -O2
PYTHON  ?= /usr/bin/python3
VERSION := 0.1.0
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum -Wno-sign-conversion

# Commands are shown short; V=1 shows them whole.
Q    := $(if $(V),,@)
show  = $(if $(V),,@echo "  $(1)	$@")

all: $(BUILD)/hako ## the program, build/hako

# What must be installed is, and the compiler's flags are found: make reads the file once it is made.
ifneq ($(filter-out clean help,$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/deps.mk
endif
$(BUILD)/deps.mk: scripts/install-deps
	@mkdir -p $(@D)
	@scripts/install-deps
	@echo "LLVM_INCLUDE := $$(llvm-config-19 --includedir)" > $@.new
	@mv $@.new $@

CFLAGS += -std=c17 -g $(OPT) -fPIC -fvisibility=hidden $(WARN) -I. -I$(BUILD) -D_GNU_SOURCE -isystem $(LLVM_INCLUDE)
LIBS   := -lsqlite3 -lsleef -lm -lpthread -ldl

SOURCES := $(wildcard ir/base/*.c ir/*.c frontend/*.c passes/*.c passes/*/*.c backends/*.c backends/*/*.c runtime/*.c)
CLI     := $(wildcard cli/*.c)
GENERATED := $(BUILD)/frontend/lexer.c $(BUILD)/frontend/parser.c $(BUILD)/frontend/embedded.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(GENERATED:%.c=%.o) $(BUILD)/runtime/aot/embedded.o $(BUILD)/backends/opencl/host/embedded.o
CLI_OBJECTS := $(CLI:%.c=$(BUILD)/%.o)

$(BUILD)/hako: $(CLI_OBJECTS) $(BUILD)/libhako.a
	$(call show,LINK)
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(LIBS) -ljansson

# For the program and for tests of internals.
$(BUILD)/libhako.a: $(OBJECTS)
	$(call show,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/frontend/parser.c $(BUILD)/frontend/parser.h &: frontend/parser.y
	@mkdir -p $(@D)
	$(call show,BISON)
	$(Q)bison -Werror -o $(BUILD)/frontend/parser.c --header=$(BUILD)/frontend/parser.h $<

$(BUILD)/frontend/lexer.c: frontend/lexer.l $(BUILD)/frontend/parser.h
	@mkdir -p $(@D)
	$(call show,FLEX)
	$(Q)flex -o $@ $<

EMBEDDED := $(wildcard frontend/*.hk) $(wildcard docs/explain/HK*.md)
$(BUILD)/frontend/embedded.c: frontend/embed.sh $(EMBEDDED)
	@mkdir -p $(@D)
	$(call show,EMBED)
	$(Q)sh $^ > $@

$(patsubst %.c,$(BUILD)/%.o,$(wildcard frontend/*.c)): | $(BUILD)/frontend/parser.h

# LLVM is opened when it is needed; what the backend calls of it goes into a table.
LLVM_BACKEND := $(wildcard backends/llvm/*.c)
$(BUILD)/backends/llvm/api.h: backends/llvm/api.sh $(LLVM_BACKEND)
	@mkdir -p $(@D)
	$(Q)sh backends/llvm/api.sh $(LLVM_BACKEND) > $@.new && { cmp -s $@.new $@ || cp $@.new $@; }
# Saved code is of use only to the same backend.
$(BUILD)/backends/llvm/code_hash.h: $(LLVM_BACKEND) $(wildcard backends/llvm/*.h ir/*.h ir/*.def)
	@mkdir -p $(@D)
	$(Q)echo "#define HAKO_CODE_HASH \"$$(cat $^ | sha256sum | cut -c1-32)\"" > $@
$(BUILD)/backends/llvm/target.o: | $(BUILD)/backends/llvm/code_hash.h
$(LLVM_BACKEND:%.c=$(BUILD)/%.o): | $(BUILD)/backends/llvm/api.h
$(BUILD)/backends/llvm/load.o: CFLAGS += -DHAKO_LLVM_LIBDIR='"$(LLVM_INCLUDE)/../lib"'

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call show,CC)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/frontend/%.o: $(BUILD)/frontend/%.c
	$(call show,CC)
	$(Q)$(CC) $(CFLAGS) -Wno-conversion -Wno-switch-enum -MMD -MP -c -o $@ $<

# ---- the runtime of libraries that hako build makes: one C file, compiled alone, whose bytes the program holds
AOT := $(wildcard runtime/aot/*.c) runtime/tensor.c runtime/scan.c runtime/line.c runtime/block.c runtime/phase.c runtime/threads.c runtime/cpus.c ir/type.c
AOT_HEADERS := $(wildcard runtime/aot/*.h runtime/*.h ir/*.h ir/*.def ir/base/*.h ir/base/*.def include/hako.h)
$(BUILD)/runtime/aot/runtime.c: runtime/aot/bundle.sh $(AOT) $(AOT_HEADERS)
	@mkdir -p $(@D)
	$(call show,BUNDLE)
	$(Q)sh runtime/aot/bundle.sh "$(CC)" $(AOT) > $@.new && mv $@.new $@
$(BUILD)/runtime/aot/runtime.o: $(BUILD)/runtime/aot/runtime.c
	$(call show,CC)
	$(Q)$(CC) -std=gnu11 -O2 -fPIC $(WARN) -Wno-pedantic -c -o $@ $<
$(BUILD)/runtime/aot/embedded.o: runtime/aot/embedded.S $(BUILD)/runtime/aot/runtime.o
	$(call show,AS)
	$(Q)$(CC) -Wa,-I$(BUILD) -c -o $@ $<

# ---- what the host programs that hako writes for OpenCL have in common
$(BUILD)/backends/opencl/host/embedded.o: $(wildcard backends/opencl/host/*)
	@mkdir -p $(@D)
	$(call show,AS)
	$(Q)$(CC) -c -o $@ backends/opencl/host/embedded.S

# ---- to embed and install: only hk_* is visible

SHARED := libhako.so.$(VERSION)
$(BUILD)/$(SHARED): $(OBJECTS) scripts/hako.map
	$(call show,LINK)
	$(Q)$(CC) $(OPT) -shared $(LDFLAGS) -Wl,--version-script=scripts/hako.map -Wl,-soname,libhako.so.0 -o $@ $(OBJECTS) $(LIBS)
	$(Q)cd $(BUILD) && ln -sf $(SHARED) libhako.so.0 && ln -sf $(SHARED) libhako.so

$(BUILD)/libhako.so: $(BUILD)/$(SHARED)

$(BUILD)/public/libhako.a: $(OBJECTS)
	@mkdir -p $(@D)
	$(call show,AR)
	$(Q)ld -r -o $(@D)/hako.o $(OBJECTS) && objcopy --localize-hidden $(@D)/hako.o
	$(Q)rm -f $@ && ar rcs $@ $(@D)/hako.o && rm $(@D)/hako.o

install: $(BUILD)/hako $(BUILD)/$(SHARED) $(BUILD)/public/libhako.a ## into PREFIX (/usr/local): program, library, header, pkg-config, CMake, manual, completions
	install -d $(DESTDIR)$(PREFIX)
	cd $(DESTDIR)$(PREFIX) && install -d bin include lib/pkgconfig lib/cmake/hako share/man/man1 share/man/man3 \
	    share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d
	install $(BUILD)/hako $(DESTDIR)$(PREFIX)/bin
	install -m 644 include/hako.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/public/libhako.a $(BUILD)/$(SHARED) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SHARED) $(DESTDIR)$(PREFIX)/lib/libhako.so.0
	ln -sf $(SHARED) $(DESTDIR)$(PREFIX)/lib/libhako.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS)|' scripts/hako.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/hako.pc
	install -m 644 scripts/hako-config.cmake $(DESTDIR)$(PREFIX)/lib/cmake/hako
	$(BUILD)/hako completion man > $(DESTDIR)$(PREFIX)/share/man/man1/hako.1
	$(PYTHON) scripts/manual include/hako.h $(DESTDIR)$(PREFIX)/share/man/man3
	$(BUILD)/hako completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hako
	$(BUILD)/hako completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_hako
	$(BUILD)/hako completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/hako.fish

# ---- to try

demo: $(BUILD)/hako ## attention, softmax and matmul on .npy files, verified and timed
	HAKO=$(BUILD)/hako scripts/demo

include samples/minilm/minilm.mk

include bench/bench.mk

include tests/tests.mk

include tests/faults/faults.mk

include cli/mpi/mpi.mk

tidy: ## the rules of the house
	tests/tidy.sh

fmt: ## clang-format over the C sources
	clang-format-14 -i $(wildcard include/*.h cli/*.[ch] runtime/*.[ch])

clean: ## remove what was built
	rm -rf $(BUILD) build-asan build-tsan

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile */*.mk */*/*.mk

-include $(OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(API_TESTS:=.d)
.PHONY: all install demo demo-minilm bench bench-minilm bench-peers bench-launch bench-tune bench-opencl bench-search check check-all check-samples check-full check-unit check-api check-memory check-install check-python check-pypi check-files check-cli check-aot check-cross check-run check-opencl check-oclgrind bless asan tsan fuzz fuzz-tiles fuzz-kernels tidy fmt clean help
