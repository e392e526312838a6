# ---- faults: the tuner with candidates that misbehave. Two files of the library are compiled with places for faults in them.
FAULT_OBJECTS := $(patsubst %.c,$(BUILD)/faults/%.o,runtime/compile.c runtime/trial.c tests/faults/inject.c tests/faults/mutate.c)

$(BUILD)/faults/%.o: %.c
	@mkdir -p $(@D)
	$(call show,CC)
	$(Q)$(CC) $(CFLAGS) -DHAKO_FAULTS -MMD -MP -c -o $@ $<

$(BUILD)/hako-faults: $(CLI_OBJECTS) $(FAULT_OBJECTS) $(BUILD)/libhako.a
	$(call show,LINK)
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(LIBS) -ljansson

$(BUILD)/tests/mutants: tests/faults/mutants.c $(FAULT_OBJECTS) $(BUILD)/libhako.a
	@mkdir -p $(@D)
	$(call show,TEST)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(FAULT_OBJECTS:.o=.d)

check-faults: $(BUILD)/hako-faults $(BUILD)/tests/mutants ## the tuner among candidates that crash, hang or give wrong results
	$(PYTHON) tests/faults/storm.py $(BUILD)/hako-faults --count 100 --kill
	tests/faults/hopeless.sh $(BUILD)/hako-faults
	tests/faults/reasons.sh $(BUILD)/hako-faults
	$(BUILD)/tests/mutants 60
	$(BUILD)/tests/mutants --healthy 60

fuzz-tune: $(BUILD)/hako-faults ## COUNT=10000 candidates, of which many misbehave; then with the tuner killed again and again
	$(PYTHON) tests/faults/storm.py $(BUILD)/hako-faults --count $(COUNT)
	$(PYTHON) tests/faults/storm.py $(BUILD)/hako-faults --count $(COUNT) --kill

fuzz-miscompiles: $(BUILD)/tests/mutants ## COUNT=1000 miscompiled candidates, and as many healthy ones
	$(BUILD)/tests/mutants $(COUNT) $(SEED)
	$(BUILD)/tests/mutants --healthy $(COUNT) $(SEED)

.PHONY: check-faults fuzz-tune fuzz-miscompiles
