package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// The flags that choose what computes. Commands that train have them as settings.
const (
	deviceName    = "device"
	precisionName = "precision"
	devicesName   = "devices"
)

var deviceNames = []string{deviceName, precisionName, devicesName}

// deviceFlags registers --device and --precision, which [app.env] has.
func deviceFlags(c *cobra.Command) {
	c.Flags().String(deviceName, device.Default.Device, "what computes, `NAME`: cpu, cuda, rocm, tpu, oneapi or pjrt:PATH, a plugin; cuda:1 is the second")
	c.Flags().String(precisionName, device.Default.Precision, "of products on an accelerator, `NAME`: float32, tf32, bf16, or auto: bf16 on chips that have it; on cpu bf16 is for weights of bfloat16")
}

// completeDevice completes the name of a device with those that plugins were found for. None is loaded.
func completeDevice(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	list := []string{device.Processor + "\tthis machine's processor"}
	plugins := pjrt.Find()
	for i, name := range namesOf(plugins) {
		list = append(list, name+"\t"+cmp.Or(strings.TrimSpace(plugins[i].Package+" "+plugins[i].Version), plugins[i].Path))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// namesOf are what --device calls plugins that were found: of several for a kind of chip the first has the kind's name, others have their files'.
func namesOf(plugins []pjrt.Plugin) (names []string) {
	for _, p := range plugins {
		name := p.Kind
		if name == device.Processor || !slices.Contains(device.Names, name) || slices.Contains(names, name) {
			name = device.Plugged(p.Path)
		}
		names = append(names, name)
	}
	return names
}

// deviceChoice is what the flags of c choose.
func deviceChoice(c *cobra.Command) (device.Choice, error) {
	choice := device.Default
	choice.Device, choice.Precision = c.Flags().Lookup(deviceName).Value.String(), c.Flags().Lookup(precisionName).Value.String()
	if err := choice.Check(); err != nil {
		return choice, usagef("%w%s", err, seeHelp(c))
	}
	return choice, nil
}

// opensDevice is the annotation of a command that opens the device itself.
const opensDevice = "opens device"

// openDevice opens the accelerator that the flags of c choose, if they do.
func (a *app) openDevice(c *cobra.Command) error {
	named := c.Flags().Lookup(deviceName)
	if named == nil || c.Annotations[opensDevice] != "" {
		return nil
	}
	if _, trains := named.Value.(*settingFlag); trains {
		return nil // the run opens it
	}
	choice, err := deviceChoice(c)
	if err != nil || !choice.Accelerated() && choice.Precision != device.BFloat16 {
		return err
	}
	a.device, err = device.Open(choice, device.Options{Threads: a.threads, Log: a.log, Notify: a.compiled, Context: c.Context(), Patience: devicePatience})
	return err
}

// devicePatience is how long an accelerator may take to answer when the command is interrupted, which has nothing to save.
const devicePatience = 2 * time.Second

// failedDevice says what to do about an accelerator that was lost, or has too little memory, by a command which has nothing to go on with.
func (a *app) failedDevice(err error) error {
	switch {
	case a.device == nil:
	case errors.As(err, new(*pjrt.CrashError)):
		return fmt.Errorf("%w; begin again: -v shows all that the plugin writes, and --device cpu does without it", err)
	case errors.As(err, new(*engine.MemoryError)):
		return fmt.Errorf("%w; end what else runs on it, or leave --device out: the processor has the machine's memory", err)
	}
	return err
}

// slowCompilation is from where on it is said what a person waited for.
const slowCompilation = 2 * time.Second

// compiled says which program of an accelerator was waited for.
func (a *app) compiled(n xla.Notice) {
	done := "compiled"
	if n.Loaded {
		done = "loaded"
	}
	text := fmt.Sprintf("program %d %s (%s)", n.Program, done, span(n.Took))
	switch {
	case !n.Done:
	case n.Loaded || n.Took < slowCompilation:
		a.log.Debug(text)
	default:
		a.log.Info(text)
	}
}

// closeDevice ends the accelerator of the command, if it has one.
func (a *app) closeDevice() {
	if a.device != nil && a.device.Accelerated() {
		a.log.Debug(a.device.Report())
		a.device.Close()
	}
}

// useless says that a command has no use for a flag that chooses a device; "" if the flag is another.
func useless(c *cobra.Command, flag string) string {
	if !slices.Contains(deviceNames, flag) {
		return ""
	}
	with := "finetune, pretrain and resume, which train"
	if flag != devicesName {
		with = "finetune, pretrain, resume, serve, features extract, and the commands that open a model to evaluate or ask it"
	}
	return fmt.Sprintf("%s has no use for --%s; leave it out: it is of %s", commandName(c), flag, with)
}
