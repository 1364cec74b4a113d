package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryHigh(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("system.slice/hangarshare.service/memory.high", "104857600\n")
	write("other/memory.high", "max\n")
	for name, c := range map[string]struct {
		groups string
		bytes  uint64
		ok     bool
	}{
		"its own group": {"0::/system.slice/hangarshare.service\n", 104857600, true},
		"no limit":      {"0::/other\n", 0, false},
		"no file":       {"0::/none\n", 0, false},
		"version 1":     {"5:memory:/x\n", 0, false},
	} {
		bytes, ok := memoryHigh(write("groups-"+name, c.groups), root)
		if bytes != c.bytes || ok != c.ok {
			t.Errorf("%s: %d, %v", name, bytes, ok)
		}
	}
	write("memory.high", "7\n")
	if bytes, ok := memoryHigh(write("groups", "0::/in/a/container\n"), root); bytes != 7 || !ok {
		t.Errorf("in a container: %d, %v", bytes, ok)
	}
}
