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
