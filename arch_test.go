//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/hangarshare/hangarshare-realtime"

// layers are the packages in the order in which a row change travels. A package may import those to its left.
var layers = []string{"db", "realtime", "handlers", "api", "."}

// tools stand beside the layers: what they may import of ours, and nothing imports them but main and tests.
var tools = map[string][]string{
	"web":          {},
	"db/devdb":     {},
	"db/demo":      {},
	"db/dbtest":    {"db", "db/devdb", "db/demo"},
	"api/loadtest": {},
}

// only says which files alone may import a library.
var only = map[string]string{
	"nhooyr.io/websocket":                            "handlers/ws.go",
	"github.com/go-chi/jwtauth/v5":                   "api/auth.go",
	"github.com/pressly/goose/v3":                    "db/migrate.go",
	"github.com/alecthomas/kong":                     "main.go",
	"github.com/go-chi/chi/v5":                       "api/",
	"github.com/lib/pq":                              "db/",
	"github.com/jmoiron/sqlx":                        "db/ main serve.go",
	"github.com/prometheus/client_golang/prometheus": "api/stats.go",
}

func TestImportsPointOneWay(t *testing.T) {
	eachGoFile(t, func(file string, imports []string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		folder := path.Dir(file)
		for _, imported := range imports {
			own, ok := strings.CutPrefix(imported, modulePath+"/")
			if !ok {
				continue
			}
			if allowed, isTool := tools[folder]; isTool {
				if !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s: %s may import only %v of ours", file, own, folder, allowed)
				}
				continue
			}
			from, to := slices.Index(layers, folder), slices.Index(layers, own)
			_, toTool := tools[own]
			switch {
			case from < 0:
				t.Errorf("%s is in a folder that the layout does not know: add it to layers or tools", file)
			case toTool && folder != ".":
				t.Errorf("%s imports %s, which is for main and tests", file, own)
			case !toTool && (to < 0 || to >= from):
				t.Errorf("%s imports %s: imports point to the left in %v", file, own, layers)
			}
		}
	})
}

func TestLibrariesHaveOneHome(t *testing.T) {
	eachGoFile(t, func(file string, imports []string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, imported := range imports {
			homes, restricted := only[imported]
			if !restricted {
				continue
			}
			atHome := slices.ContainsFunc(strings.Fields(homes), func(home string) bool {
				return file == home || strings.HasPrefix(file, home)
			})
			if !atHome {
				t.Errorf("%s imports %s, which belongs into %s", file, imported, homes)
			}
		}
	})
}

func TestEveryPackageIntroducesItself(t *testing.T) {
	documented := map[string]bool{}
	eachGoFile(t, func(file string, _ []string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		folder := path.Dir(file)
		documented[folder] = documented[folder] || parsed.Doc != nil
	})
	for folder, has := range documented {
		if !has {
			t.Errorf("package in %s has no comment that says what it is, what it promises and what it does not know", folder)
		}
	}
}

// eachGoFile calls do with every Go file of the module, by its path from the root, and what it imports.
func eachGoFile(t *testing.T, do func(file string, imports []string)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(file) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		seen++
		do(filepath.ToSlash(file), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d Go files were found: run the test in the module's root", seen)
	}
}
