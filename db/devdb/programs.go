package devdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// programs are the programs of one installed PostgreSQL.
type programs struct {
	dir          string
	version      string
	major, minor int
}

// places are the folders in which systems keep PostgreSQL's programs: Debian and Ubuntu, the
// PostgreSQL project's own packages for Red Hat, Alpine and SUSE, Homebrew on both kinds of Mac,
// MacPorts, and Postgres.app.
var places = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/lib/postgresql*/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/opt/homebrew/Cellar/postgresql*/*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/Cellar/postgresql*/*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/opt/local/lib/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?\S*`)

// ErrNotInstalled says that this machine has no PostgreSQL that can be used.
var ErrNotInstalled = errors.New("install one (Debian, Ubuntu: apt-get install postgresql; Fedora, RHEL: dnf install " +
	"postgresql-server; Alpine: apk add postgresql; macOS: brew install postgresql@17), or set DATABASE_URL to a " +
	"database of your own")

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

// usualDirectories lists the directories on this machine that may hold PostgreSQL's programs.
func usualDirectories(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		cmd := exec.CommandContext(ctx, path, "--bindir")
		cmd.Env = environment()
		if output, err := cmd.Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(output)))
		}
	}
	for _, place := range places {
		// The only error is a bad pattern, and these are constants.
		found, _ := filepath.Glob(place) //nolint:errcheck // see above
		dirs = append(dirs, found...)
	}
	return dirs
}

// obtainPrograms finds the newest PostgreSQL that can run here, or downloads one. Data that exist
// already need the major version that made them.
func (s *Server) obtainPrograms(ctx context.Context) (programs, error) {
	wanted, err := s.dataVersion()
	if err != nil {
		return programs{}, err
	}
	dirs := s.options.search(ctx)
	pattern := filepath.Join(s.cluster, "programs", "*", "bin")
	downloaded, _ := filepath.Glob(pattern) //nolint:errcheck // as above
	found := s.inspect(ctx, append(dirs, downloaded...))
	slices.SortStableFunc(found, func(a, b programs) int {
		return slices.Compare([]int{b.major, b.minor}, []int{a.major, a.minor})
	})
	for _, p := range found {
		if p.major >= MinimumVersion && (wanted == 0 || p.major == wanted) {
			return p, nil
		}
	}
	p, err := s.download(ctx, wanted)
	if err == nil {
		return p, nil
	}
	if ctx.Err() != nil {
		return programs{}, ctx.Err()
	}
	if wanted != 0 {
		return programs{}, fmt.Errorf("the data in %s need PostgreSQL %d, which is not on this machine and could not be "+
			"downloaded (%w): install version %d, remove %s to begin anew, or set DATABASE_URL", s.data(), wanted, err, wanted,
			s.options.Dir)
	}
	none := fmt.Sprintf("no PostgreSQL %d or newer is on this machine", MinimumVersion)
	if len(found) > 0 {
		none += fmt.Sprintf(" (only %s in %s)", found[0].version, found[0].dir)
	}
	return programs{}, fmt.Errorf("%s, and none could be downloaded (%w): %w", none, err, ErrNotInstalled)
}

// dataVersion returns the major version that made the data, or 0 when there are none.
func (s *Server) dataVersion() (int, error) {
	path := filepath.Join(s.data(), "PG_VERSION")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data in %s: %w", path, err)
	}
	return major, nil
}

// inspect asks what is in the directories for its version, as the account that will run it.
func (s *Server) inspect(ctx context.Context, dirs []string) []programs {
	var found []programs
	seen := map[string]bool{}
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[resolved] {
			continue
		}
		seen[resolved] = true
		if _, err := os.Stat(filepath.Join(resolved, "initdb")); err != nil {
			continue
		}
		if p, err := s.version(ctx, resolved); err == nil {
			found = append(found, p)
		}
	}
	return found
}

func (s *Server) version(ctx context.Context, dir string) (programs, error) {
	path := filepath.Join(dir, "postgres")
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Dir = s.cluster
	cmd.Env = environment()
	cmd.SysProcAttr = detached(s.account)
	output, err := cmd.Output()
	if err != nil {
		return programs{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	match := versionPattern.FindStringSubmatch(string(output))
	if match == nil {
		return programs{}, fmt.Errorf("ask %s for its version: it says %q", path, output)
	}
	p := programs{dir: dir, version: strings.TrimPrefix(match[0], "(PostgreSQL) ")}
	p.major, _ = strconv.Atoi(match[1]) //nolint:errcheck // digits by the pattern
	p.minor, _ = strconv.Atoi(match[2]) //nolint:errcheck // digits, or none: a beta
	return p, nil
}
