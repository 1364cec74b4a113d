//go:build unix

package dbtest

import (
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/devdb"
)

// Standby starts a streaming standby of a cluster that a test has for itself, made
// from a copy of its files.
func Standby(t testing.TB, primary *devdb.Server) *devdb.Server {
	t.Helper()
	dir := Dir(t)
	data, err := read(primary, "show data_directory")
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.Halt(t.Context(), devdb.Fast); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "cluster", "data")
	if err := os.Mkdir(filepath.Dir(copied), 0o700); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.CommandContext(t.Context(), "cp", "-a", data, copied).CombinedOutput(); err != nil {
		t.Fatalf("copy the primary: %v: %s", err, text)
	}
	if info, err := os.Stat(data); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			Must(t, os.Chown(filepath.Dir(copied), int(owner.Uid), int(owner.Gid)))
		}
	}
	Must(t, os.WriteFile(filepath.Join(copied, "standby.signal"), nil, 0o644))
	Must(t, primary.Resume(t.Context()))
	address, err := url.Parse(primary.URL())
	Must(t, err)
	settings := maps.Clone(careless)
	settings["primary_conninfo"] = "host=" + address.Query().Get("host") + " port=" + address.Query().Get("port") + " user=" + address.User.Username()
	return private(t, dir, settings)
}
