//go:build unix

package devdb

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ulikunitz/xz"
)

// closed is a repository that has nothing.
func closed(t *testing.T) string {
	t.Helper()
	repository := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		repository.Close()
	})
	return repository.URL
}

// nowhere is a machine without PostgreSQL.
func nowhere(context.Context) []string { return nil }

// pretended makes programs that say they are of the given version.
func pretended(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		writeProgram(t, filepath.Join(dir, name), []byte(script))
	}
	return dir
}

// writeProgram writes a file that can be run at once. A process begun meanwhile would hold it open
// for writing, and then nobody could run it ("text file busy").
func writeProgram(t *testing.T, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestNothingUsable(t *testing.T) {
	t.Parallel()
	t.Run("nothing installed", func(t *testing.T) {
		t.Parallel()
		o := options(passable(t))
		o.search, o.Repository = nowhere, closed(t)
		_, err := Start(t.Context(), o)
		if !errors.Is(err, ErrNotInstalled) {
			t.Errorf("got %v", err)
		}
		oneLine(t, err, "PostgreSQL 13 or newer", "apt-get install postgresql", "dnf install", "brew install", "DATABASE_URL")
	})
	t.Run("only an old one", func(t *testing.T) {
		t.Parallel()
		dir := passable(t)
		old := pretended(t, filepath.Join(dir, "old"), "12.22 (Debian 12.22-1)")
		o := options(filepath.Join(dir, "postgres"))
		o.search, o.Repository = func(context.Context) []string { return []string{old} }, closed(t)
		_, err := Start(t.Context(), o)
		if !errors.Is(err, ErrNotInstalled) {
			t.Errorf("got %v", err)
		}
		oneLine(t, err, "only 12.22", old)
	})
	t.Run("data of another version", func(t *testing.T) {
		t.Parallel()
		o := options(passable(t))
		s := mustStart(t, o)
		mustStop(t, s)
		if err := os.WriteFile(filepath.Join(s.data(), "PG_VERSION"), []byte("11\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), o)
		oneLine(t, err, "need PostgreSQL 11", "remove "+o.Dir)
	})
}

func TestNewestIsUsed(t *testing.T) {
	t.Parallel()
	dir := passable(t)
	var dirs []string
	for _, version := range []string{"13.4", "16.2", "9.6.24", "16.11 (Homebrew)", "15.1"} {
		dirs = append(dirs, pretended(t, filepath.Join(dir, version), version))
	}
	o := options(dir)
	o.search = func(context.Context) []string { return append(dirs, filepath.Join(dir, "missing")) }
	a, err := chooseAccount(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{options: o, cluster: dir, account: a}
	found, err := s.obtainPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.version != "16.11" {
		t.Errorf("got %+v", found)
	}
}

// archive packs programs that lead to the installed ones, in the form of the public repository.
func archive(t *testing.T, installed programs) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressed, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewWriter(compressed)
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", installed.path(name))
		header := &tar.Header{Name: "bin/" + name, Mode: 0o755, Size: int64(len(script)), Typeflag: tar.TypeReg}
		if err := files.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(script)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	bundle := zip.NewWriter(&jar)
	entry, err := bundle.Create("postgres-linux-x86_64.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(packed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := bundle.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

// TestDownload is not parallel: a process begun beside it would hold open for writing what is
// unpacked and run at once ("text file busy").
func TestDownload(t *testing.T) {
	model := mustStart(t, options(passable(t)))
	jar := archive(t, model.programs)
	digest := sha256.Sum256(jar)
	var asked atomic.Int32
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			fmt.Fprint(w, hex.EncodeToString(digest[:]))
			return
		}
		w.Write(jar)
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		repository.Close()
	})
	o := options(passable(t))
	o.search, o.Repository = nowhere, repository.URL

	s := mustStart(t, o)
	expect(t, s.URL(), "select 1", "1")
	if !strings.HasPrefix(s.programs.dir, s.cluster) {
		t.Errorf("the programs come from %s", s.programs.dir)
	}
	mustStop(t, s)
	left, err := os.ReadDir(filepath.Join(s.cluster, "programs"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("the download left %v", left)
	}

	before := asked.Load()
	expect(t, mustStart(t, o).URL(), "select 1", "1")
	if asked.Load() != before {
		t.Error("the second start asked the repository again")
	}
}
