package db

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestReleasedMigrations holds the migrations of released versions to their hashes: databases have
// run them, so a change of one reaches nobody, and another number does. The list is what sha256sum
// prints; a release adds what is new by
//
//	cd db && sha256sum migrations/*.sql >migrations.sum
func TestReleasedMigrations(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("migrations.sum")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(lines) > len(names) {
		t.Fatalf("migrations.sum lists %d migrations, of which %d are there", len(lines), len(names))
	}
	for i, line := range lines {
		text, err := migrations.ReadFile(names[i])
		if err != nil {
			t.Fatal(err)
		}
		if is := fmt.Sprintf("%x  %s", sha256.Sum256(text), names[i]); is != line {
			t.Errorf("a released migration has changed: put it back, and do what is new in the next number\n is  %s\n was %s", is, line)
		}
	}
	changes, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(changes), "\n## Unreleased\n")
	unreleased, _, _ := strings.Cut(rest, "\n## ")
	if !strings.Contains(unreleased, "\n- ") && len(lines) < len(names) {
		t.Errorf("the CHANGELOG has nothing unreleased, and migrations.sum ends before %s: "+
			"cd db && sha256sum migrations/*.sql >migrations.sum", names[len(lines)])
	}
}
