//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const modulePath = "github.com/hangarshare/hangarshare-realtime"

// commands is the layer that ties the others together.
const commands = "api/cli"

// layers are the packages in the order in which a row change travels. A package may
// import those to its left.
var layers = []string{"db/crash", "db/seal", "db/stats", "db/xid", "db", "db/eventlog", "realtime", "realtime/words", "realtime/outbox", "realtime/outbox/sender", "realtime/relay", "handlers", "handlers/stream", "api", commands, "."}

// tools stand beside the layers: what they may import of ours. The commands import them, and tests.
var tools = map[string][]string{
	"web":          {},
	"db/devdb":     {},
	"db/demo":      {},
	"api/loadtest": {},
	"api/report":   {},
	"api/tail":     {},
}

// helpers are for tests alone, which import whatever they need; what the helpers themselves may
// import of ours stands here. Those with nothing are folders of tests.
var helpers = map[string][]string{
	"db/dbtest":                  {"db", "db/devdb", "db/demo", "test/leaktest"},
	"handlers/frametest":         {},
	"realtime/relay/redistest":   {"test/freeport"},
	"realtime/outbox/outboxtest": {},
	"api/issuertest":             {},
	"test/harness":               {"api", "api/cli", "db", "db/dbtest", "db/demo", "db/devdb", "test/freeport"},
	"test/attack":                {},
	"test/bench":                 {},
	"test/clients":               {},
	"test/e2e":                   {},
	"test/freeport":              {},
	"test/leaktest":              {},
	"test/release":               {},
	"test/soak":                  {},
	"test/versions":              {},
	"test/storm":                 {},
}

// only says which files alone may import a library.
var only = map[string]string{
	"nhooyr.io/websocket":                            "handlers/stream/ws.go",
	"github.com/go-chi/jwtauth/v5":                   "api/tokens.go",
	"github.com/pressly/goose/v3":                    "db/migrate.go",
	"github.com/alecthomas/kong":                     "api/cli/",
	"github.com/arran4/golang-ical":                  "handlers/ics.go",
	"github.com/coreos/go-systemd/v22/daemon":        "api/cli/supervisor.go",
	"github.com/go-chi/chi/v5":                       "api/",
	"github.com/redis/rueidis":                       "realtime/relay/",
	"github.com/SherClockHolmes/webpush-go":          "realtime/outbox/sender/push.go",
	"github.com/wneessen/go-mail":                    "realtime/outbox/sender/mail.go",
	"github.com/wneessen/go-mail/smtp":               "realtime/outbox/sender/smtp.go",
	"github.com/tmaxmax/go-sse":                      "api/tail/",
	"github.com/getsentry/sentry-go":                 "api/report/",
	"github.com/KimMachineGun/automemlimit/memlimit": "api/cli/memory.go",
	"github.com/lib/pq":                              "db/",
	"github.com/jmoiron/sqlx":                        "db/ api/cli/serve.go api/cli/privacy.go",
	"github.com/prometheus/client_golang/prometheus": "api/stats.go api/admin.go db/stats/",
}

func TestImportsPointOneWay(t *testing.T) {
	eachGoFile(t, func(file string, imports []string) {
		folder := path.Dir(file)
		layer := slices.Index(layers, folder)
		beside, isTool := tools[folder]
		forTests, isHelper := helpers[folder]
		if layer < 0 && !isTool && !isHelper {
			t.Errorf("%s is in a folder that the layout does not know: add it to layers, tools or helpers", file)
		}
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		for _, imported := range imports {
			own, ok := strings.CutPrefix(imported, modulePath+"/")
			if !ok {
				continue
			}
			_, toTool := tools[own]
			_, toHelper := helpers[own]
			to := slices.Index(layers, own)
			switch {
			case isTool || isHelper:
				if allowed := append(beside, forTests...); !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s: %s may import only %v of ours", file, own, folder, allowed)
				}
			case toHelper:
				t.Errorf("%s imports %s, which is for tests", file, own)
			case toTool:
				if folder != commands {
					t.Errorf("%s imports %s, which is for %s", file, own, commands)
				}
			case to < 0 || to >= layer:
				t.Errorf("%s imports %s: imports point to the left in %v", file, own, layers)
			}
		}
	})
}

func TestRootHoldsOnlyTheProgram(t *testing.T) {
	eachGoFile(t, func(file string, _ []string) {
		if path.Dir(file) == "." && file != "main.go" && file != "arch_test.go" {
			t.Errorf("%s: commands belong into %s, tests of the whole program into test/e2e", file, commands)
		}
	})
}

func TestLibrariesHaveOneHome(t *testing.T) {
	eachGoFile(t, func(file string, imports []string) {
		if _, isHelper := helpers[path.Dir(file)]; isHelper || strings.HasSuffix(file, "_test.go") {
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

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile("(?m)^#+ (.+)$")
	notInIDs = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestDocumentsLinkToWhatIsThere follows each link of README, CONTRIBUTING and docs within the
// repository, and holds README to one link to each document.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]int{}
	for _, document := range append([]string{"README.md", "CONTRIBUTING.md"}, documents...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") {
				continue // another site
			}
			file := document
			if target != "" {
				file = path.Join(path.Dir(document), target)
			}
			if document == "README.md" {
				linked[file]++
			}
			there, err := os.ReadFile(file)
			if _, missing := os.Stat(file); missing != nil {
				t.Errorf("%s links to %s, which is not there", document, match[1])
			} else if fragment != "" && (err != nil || !hasHeading(string(there), fragment)) {
				t.Errorf("%s links to %s, which has no such heading", document, match[1])
			}
		}
	}
	for _, document := range documents {
		if linked[document] != 1 {
			t.Errorf("README.md links %d times to %s: once is right", linked[document], document)
		}
	}
}

// TestContributingNamesWhatIsThere holds CONTRIBUTING and README to the rooms that there are, and
// all documents to files that there are.
func TestContributingNamesWhatIsThere(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile("`((?:[a-z_-]+/)+[a-z_-]+\\.(?:go|js|css|sql|cfg|conf|service))`")
	for _, document := range append([]string{"README.md", "CONTRIBUTING.md"}, documents...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range file.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(match[1]); err != nil {
				t.Errorf("%s names %s, which is not there", document, match[1])
			}
		}
		if document != "CONTRIBUTING.md" {
			continue
		}
		for _, room := range slices.Concat(layers, slices.Collect(maps.Keys(tools)), slices.Collect(maps.Keys(helpers))) {
			if _, helper := helpers[room]; room == "." || helper && !strings.HasPrefix(room, "test/") {
				continue // what helps the tests of one room is named by its package's comment
			}
			if !strings.Contains(string(text), "`"+room+"`") {
				t.Errorf("CONTRIBUTING.md does not say what is in %s", room)
			}
		}
	}
}

// TestDocumentsNameTestsThatAreThere looks for each test and benchmark that a document names: a
// proof that was renamed or taken away is none.
func TestDocumentsNameTestsThatAreThere(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)[A-Z]\w*)\(`)
	eachGoFile(t, func(file string, _ []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range declared.FindAllStringSubmatch(string(text), -1) {
			there[match[1]] = true
		}
	})
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Benchmark)[A-Z][a-z]\w*`)
	for _, document := range append([]string{"README.md", "CONTRIBUTING.md"}, documents...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(text), -1) {
			if !there[name] {
				t.Errorf("%s names %s, which is not there", document, name)
			}
		}
	}
}

// hasHeading reports whether Markdown has a heading with this fragment, as GitHub makes it.
func hasHeading(text, fragment string) bool {
	return slices.ContainsFunc(heading.FindAllStringSubmatch(text, -1), func(match []string) bool {
		id := notInIDs.ReplaceAllString(strings.ToLower(match[1]), "")
		return strings.ReplaceAll(id, " ", "-") == fragment
	})
}

// widest is in how many columns a comment ends, of which a tab takes four: wider ones are hard to
// read.
const widest = 100

// isTooWide reports in which column a line ends that is wider than a comment may be.
func isTooWide(line string) (columns int, wide bool) {
	columns = utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
	return columns, columns > widest
}

// TestCommentsFitInAWindow holds comments of Go to their width. What a tool reads (//go:, //lint:,
// //nolint) and a single long word may be wider.
func TestCommentsFitInAWindow(t *testing.T) {
	tools := regexp.MustCompile(`^//(go:|lint:|nolint)|^// (#nosec|example:)|^// \S+$`)
	eachGoComment(t, func(at, line, comment string) {
		if columns, wide := isTooWide(line); wide && !tools.MatchString(comment) {
			t.Errorf("%s: a comment ends in column %d: wrap it at %d", at, columns, widest)
		}
	})
}

// TestCommentsCallPeopleThey: web/test/unit/comments.test.js holds JavaScript to the same.
func TestCommentsCallPeopleThey(t *testing.T) {
	people := regexp.MustCompile(`(?i)\b(he|him|his|she|her|hers|whoever)\b`)
	eachGoComment(t, func(at, _, comment string) {
		if found := people.FindString(comment); found != "" {
			t.Errorf("%s: a comment says %s: people are they, users, owners and guests", at, found)
		}
	})
}

// commentAt finds, by a file's ending or name, lines that end with a comment.
var commentAt = func() map[string]*regexp.Regexp {
	found := map[string]*regexp.Regexp{}
	for comment, files := range map[string]string{
		`^\s*//|[;,{})\]] // `: ".js .ts .tsx .java",
		`^\s*--|[;,)'] -- `:    ".sql",
		`^\s*#|:.* ## `: ".py .rb .pl .yaml .yml .conf .cfg .service .socket .npmrc " +
			"Makefile Dockerfile Caddyfile need part run security release env postinst prerm postrm",
	} {
		for _, file := range strings.Fields(files) {
			found[file] = regexp.MustCompile(comment)
		}
	}
	return found
}()

// TestOtherCommentsFitInAWindow is TestCommentsFitInAWindow for what is not Go. What the clients of
// other people are shown with, and migrations, which are released, may be wider.
func TestOtherCommentsFitInAWindow(t *testing.T) {
	markers := regexp.MustCompile(`(?://|#) (?:example:|for the test$)`)
	seen := 0
	eachFile(t, func(file string) {
		name := path.Base(file)
		comment := commentAt[cmp.Or(path.Ext(name), name)]
		blocks := slices.Contains([]string{".js", ".ts", ".tsx", ".cts", ".css"}, path.Ext(name))
		if comment == nil && !blocks || strings.HasPrefix(file, "db/migrations/") || strings.Contains(file, "/testdata/") {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		within := false // a block
		for i, line := range strings.Split(string(text), "\n") {
			within = within || blocks && strings.HasPrefix(strings.TrimSpace(line), "/*")
			_, code, ends := strings.Cut(line, "*/")
			is := within && strings.TrimSpace(code) == "" || comment != nil && comment.MatchString(line)
			if columns, wide := isTooWide(line); wide && is && !markers.MatchString(line) {
				t.Errorf("%s:%d: a comment ends in column %d: wrap it at %d", file, i+1, columns, widest)
			}
			within = within && !ends
		}
	})
	if seen < 100 {
		t.Errorf("only %d files were looked at", seen)
	}
}

// TestFunctionsFitOnAScreen holds functions of the program to 80 lines: who reads one sees all of
// it.
func TestFunctionsFitOnAScreen(t *testing.T) {
	const most = 80
	eachGoFile(t, func(file string, _ []string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "test/") {
			return
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := set.Position(function.End()).Line - set.Position(function.Pos()).Line + 1; lines > most {
				t.Errorf("%s: %s has %d lines: a part of it is a function of its own", set.Position(function.Pos()), function.Name.Name, lines)
			}
		}
	})
}

// TestGoroutinesTellOfPanics looks at each place where the server starts a goroutine: what runs
// there begins with `defer crash.Report(…)`, so that a panic is told before the process ends by it.
func TestGoroutinesTellOfPanics(t *testing.T) {
	for _, folder := range layers {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		set, bodies := token.NewFileSet(), map[string][]*ast.BlockStmt{}
		var parsed []*ast.File
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, tree)
			for _, declared := range tree.Decls {
				if function, ok := declared.(*ast.FuncDecl); ok {
					bodies[function.Name.Name] = append(bodies[function.Name.Name], function.Body)
				}
			}
		}
		for _, tree := range parsed {
			ast.Inspect(tree, func(node ast.Node) bool {
				var runs ast.Expr
				switch start := node.(type) {
				case *ast.GoStmt:
					runs = start.Call.Fun
				case *ast.CallExpr:
					if called, ok := start.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Go" && len(start.Args) == 1 {
						runs = start.Args[0]
					}
				}
				if runs != nil && !tellsOfPanics(runs, bodies) {
					t.Errorf("%s: a panic of this goroutine is told to nobody: begin it with defer crash.Report(\"part\")", set.Position(node.Pos()))
				}
				return true
			})
		}
	}
}

// tellsOfPanics reports whether a function begins with defer crash.Report: one that is written
// there, or one of the package with its name. One that only calls such a function does as well.
func tellsOfPanics(function ast.Expr, bodies map[string][]*ast.BlockStmt) bool {
	var found []*ast.BlockStmt
	switch f := function.(type) {
	case *ast.FuncLit:
		found = append(found, f.Body)
	case *ast.SelectorExpr:
		found = bodies[f.Sel.Name]
	case *ast.Ident:
		found = bodies[f.Name]
	}
	return slices.ContainsFunc(found, func(body *ast.BlockStmt) bool { return begins(body.List, bodies) })
}

func begins(list []ast.Stmt, bodies map[string][]*ast.BlockStmt) bool {
	if len(list) == 0 {
		return false
	}
	switch first := list[0].(type) {
	case *ast.DeferStmt:
		called, ok := first.Call.Fun.(*ast.SelectorExpr)
		return ok && fmt.Sprint(called.X) == "crash" && called.Sel.Name == "Report" || begins(list[1:], bodies)
	case *ast.ExprStmt:
		call, ok := first.X.(*ast.CallExpr)
		return ok && len(list) == 1 && tellsOfPanics(call.Fun, bodies)
	}
	return false
}

// eachGoFile calls do with every Go file of the module, by its path from the root, and
// what it imports.
func eachGoFile(t *testing.T, do func(file string, imports []string)) {
	t.Helper()
	seen := 0
	eachFile(t, func(file string) {
		if path.Ext(file) != ".go" || path.Dir(file) == goClients {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		var imports []string
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imports = append(imports, imported)
		}
		seen++
		do(file, imports)
	})
	if seen < 20 {
		t.Fatalf("only %d Go files were found: run the test in the module's root", seen)
	}
}

// eachGoComment calls do with every line of the module that has a comment, where it is, and the
// comment.
func eachGoComment(t *testing.T, do func(at, line, comment string)) {
	t.Helper()
	eachGoFile(t, func(file string, _ []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for _, group := range parsed.Comments {
			for _, comment := range group.List {
				first := set.Position(comment.Pos()).Line
				for i := range strings.Count(comment.Text, "\n") + 1 {
					do(fmt.Sprintf("%s:%d", file, first+i), lines[first-1+i], comment.Text)
				}
			}
		}
	})
}

// goClients is a module of its own.
const goClients = "test/clients/go"

// eachFile calls do with every file of the repository, by its path from the root.
func eachFile(t *testing.T, do func(file string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (strings.HasPrefix(name, ".") && name != ".ci" || name == "node_modules" || file == "bin" || file == "dist") {
			return fs.SkipDir
		}
		if !entry.IsDir() {
			do(filepath.ToSlash(file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
