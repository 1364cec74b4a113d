package cli

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// memoryShare is the part of a container's memory that the Go runtime may use. The kernel counts
// the buffers of sockets to the container too: up to 128 KiB of a slow connection.
const memoryShare = 0.85

// limitMemory keeps the runtime within the memory of the container, as GOMEMLIMIT would,
// which comes first. Go itself looks at neither (golang/go#75164). It returns the limit
// in bytes, 0 for none.
func limitMemory(log *slog.Logger) int64 {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(containerMemory))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
	case err != nil:
		log.Warn("the container's memory is not known; set GOMEMLIMIT if it is bounded", "error", err)
	}
	if limit <= 0 || limit == math.MaxInt64 {
		return 0
	}
	log.Info("memory is bounded", "bytes", limit)
	return limit
}

// containerMemory is the lower of the hard limit of the process's control group and of the one from
// which on it is slowed down (memory.max and memory.high of cgroups, version 2).
func containerMemory() (uint64, error) {
	most, err := memlimit.FromCgroup()
	if high, ok := memoryHigh("/proc/self/cgroup", "/sys/fs/cgroup"); ok && (err != nil || high < most) {
		return high, nil
	}
	return most, err
}

// memoryHigh reads memory.high of the control group that a file like /proc/self/cgroup names.
func memoryHigh(groups, root string) (bytes uint64, ok bool) {
	text, err := os.ReadFile(groups)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		group, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, group, "memory.high"))
		if errors.Is(err, fs.ErrNotExist) { // a container sees its own group as the root
			text, err = os.ReadFile(filepath.Join(root, "memory.high"))
		}
		if err != nil {
			return 0, false
		}
		bytes, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		return bytes, err == nil // "max" is no number
	}
	return 0, false
}

// shedder sheds load where memory runs short.
type shedder struct {
	streams *stream.Server
	bus     *realtime.Bus
}

// SetFull implements api.Shedder.
func (s shedder) SetFull(full bool) { s.streams.SetFull(full) }

// Shed implements api.Shedder.
func (s shedder) Shed() {
	s.bus.Halve()
	s.streams.ShedSlowest()
}

// Restore implements api.Shedder.
func (s shedder) Restore() { s.bus.Restore() }
