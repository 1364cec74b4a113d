package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Installed returns the path of a program, also of one that .ci/need unpacked, and the libraries
// that came with it. The test is skipped where this machine has none.
func Installed(t testing.TB, name string) (program, libraries string) {
	t.Helper()
	if found, err := exec.LookPath(name); err == nil {
		return found, ""
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	places := []string{"/usr/sbin"}
	for _, folder := range []string{"/var/cache/hangarshare-realtime", filepath.Join(cache, "hangarshare-realtime")} {
		places = append(places, filepath.Join(folder, name, "usr/sbin"), filepath.Join(folder, name, "usr/bin"))
	}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, name)); err == nil {
			found, err := filepath.Glob(filepath.Join(filepath.Dir(place), "lib", "*-linux-gnu*"))
			if err != nil {
				t.Fatal(err)
			}
			return filepath.Join(place, name), strings.Join(found, ":")
		}
	}
	t.Skipf("%s is missing: ./.ci/need %s", name, name)
	return "", ""
}
