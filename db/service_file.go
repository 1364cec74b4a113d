package db

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// readService returns what a connection service file says of a service (PostgreSQL manual, "The
// Connection Service File"): the user's own, or the system's.
func readService(name, file string, environ []string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	lookup := lookupIn(environ)
	files := []string{cmp.Or(file, lookup("PGSERVICEFILE"))}
	if files[0] == "" {
		if home, err := os.UserHomeDir(); err == nil {
			files[0] = filepath.Join(home, ".pg_service.conf")
		}
		if dir := lookup("PGSYSCONFDIR"); dir != "" {
			files = append(files, filepath.Join(dir, "pg_service.conf"))
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file) // #nosec G304 -- the operator names it
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the service file: %w", err)
		}
		if words, found := serviceIn(string(text), name); found {
			return words, nil
		}
	}
	return nil, fmt.Errorf("service %q is in none of the files %s: add it, or say host, database and user", name, strings.Join(files, ", "))
}

func serviceIn(text, name string) (words map[string]string, found bool) {
	words = map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if found {
				break
			}
			found = line == "["+name+"]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && found && !strings.HasPrefix(line, "#") {
			words[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return words, found
}
