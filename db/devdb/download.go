package devdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloadLimit bounds a download, which the library itself does not.
const downloadLimit = 10 * time.Minute

// downloads are the versions that can be downloaded; data made by another version need their own.
var downloads = map[int]embeddedpostgres.PostgresVersion{
	13: embeddedpostgres.V13,
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// newestDownload is what is downloaded when any version will do.
const newestDownload = 18

// download fetches PostgreSQL's programs into the cluster's directory.
func (s *Server) download(ctx context.Context, major int) (programs, error) {
	if major == 0 {
		major = newestDownload
	}
	version, known := downloads[major]
	if !known {
		return programs{}, fmt.Errorf("there is no download of PostgreSQL %d", major)
	}
	s.log.Info("downloading PostgreSQL, since none is installed", "version", string(version))
	parent := filepath.Join(s.cluster, "programs")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return programs{}, fmt.Errorf("make the directory of the download: %w", err)
	}
	scratch, err := os.MkdirTemp(parent, "download-")
	if err != nil {
		return programs{}, fmt.Errorf("make the directory of the download: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	fetched := make(chan error, 1)
	go func() {
		err := fetch(scratch, s.options.Repository, version, major)
		if err == nil {
			err = s.install(scratch, filepath.Join(parent, string(version)))
		}
		fetched <- errors.Join(err, os.RemoveAll(scratch))
	}()
	select {
	case err = <-fetched:
	case <-ctx.Done():
		// the library cannot be interrupted: it ends with its connection, or with this process
		err = ctx.Err()
	}
	if err != nil {
		return programs{}, fmt.Errorf("download PostgreSQL %s: %w", version, err)
	}
	return s.version(ctx, filepath.Join(parent, string(version), "bin"))
}

// fetch makes the library fetch and unpack the programs into scratch. The library can only start a
// PostgreSQL, which it would do without our guard, and cannot do as root; so it is given a data
// directory without any configuration, which pg_ctl refuses once everything is unpacked.
func fetch(scratch, repository string, version embeddedpostgres.PostgresVersion, major int) error {
	data := filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(strconv.Itoa(major)+"\n"), 0o600); err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().Version(version).Port(0).Logger(io.Discard).
		CachePath(scratch).RuntimePath(filepath.Join(scratch, "runtime")).DataPath(data).
		BinariesPath(filepath.Join(scratch, "programs"))
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}
	library := embeddedpostgres.NewDatabase(config)
	refused := library.Start()
	if refused == nil {
		return library.Stop()
	}
	if _, err := os.Stat(filepath.Join(scratch, "programs", "bin", "postgres")); err != nil {
		return refused
	}
	return nil
}

// install moves the unpacked programs into their place, complete or not at all.
func (s *Server) install(scratch, target string) error {
	unpacked := filepath.Join(scratch, "programs")
	if err := s.account.give(unpacked); err != nil {
		return err
	}
	if s.account.other {
		if err := os.Chmod(filepath.Dir(target), 0o755); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(unpacked, target)
}
