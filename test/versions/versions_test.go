// Package versions runs the tests that depend on the version of PostgreSQL on each of several, and
// keeps what came out in docs/databases.md: make test-versions.
package versions

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// update has the tests write what came out into docs/databases.md.
var update = flag.Bool("update", false, "write what came out into docs/databases.md")

// root is the project's directory.
var root = filepath.Join("..", "..")

// tried is what is tried on every version: a row of the table, and the tests of a
// folder that it stands for.
var tried = []struct{ what, folders, tests string }{
	{"install, upgrade from a released version, change nothing twice, remove", "db", "TestMigrate(Variants|Together|BesideWriters|WithoutRights|Upgrades|ChangesNothing|Heals|LeavesNewer|Grants|ForeignSchema)"},
	{"triggers, with `payment_date` and as a view over `hangar_bookings`", "db", "TestTriggers(Bookings|Portal|WithoutConstraints|Copy|Data|View)|TestPayments"},
	{"what triggers cost writers: no waiting, no failing, one doorbell", "db", "TestWriter(IsSafe|WithoutRights|Sessions)|TestWriters(Serializable|NeverWait)|TestOneDoorbell|TestTransactionIDs"},
	{"numbers in the order of commits, replay, retention, one server that numbers", "db db/eventlog", "TestOrder(OfCommits|InTransaction|OfMany)|TestReplayOverManyBatches|TestRetention|TestOneServerNumbers|TestCopyGetsAnEpochOfItsOwn"},
	{"large statements", "db/eventlog", "TestLargeTransaction|TestBacklog(InTheOrderOfIDs|OfSmallTransactions)|TestNumberingBesideALargeTransaction"},
	{"types of ids, domains, NULL, NaN and infinity", "db", "TestMeanings|TestMeaningsOfEvents|TestDomains"},
	{"the projection equals the tables", "db", "TestProjectionIsOneSnapshot|TestProjectionIsNotBelieved|TestMetricsOfRandomHistories"},
	{"generated columns; virtual ones from 18 on", "db", "TestGeneratedColumns"},
	{"partitions and inheritance", "db", "TestPartitions|TestInheritance"},
	{"tables rebuilt, triggers disabled, a crash, TRUNCATE", "db", "TestWatch(RebuiltTable|DisabledTriggers|NeverWaits|MissingTable|Crash)|TestTruncateForgets|TestQuestionsGiveWay"},
	{"row-level security, `check`", "db", "TestRowSecurity|TestCheck(OfAWorkingDatabase|AndMigrateName|Finds)"},
	{"passwords, LISTEN", "db", "TestOpenWrongPassword|TestListener(Wakes|LosesItsConnection|WhileAway)"},
	{"PgBouncer", "test/e2e", "TestPoolers"},
	{"few connections, few rights, time limits of a role, refused functions", "test/e2e", "TestFewConnections|TestServerWithFewRights|TestRoleTimeouts|TestHardenedServer"},
	{"standby, logical replication, publications", "test/e2e", "TestStandby|TestLogicalReplication"},
	{"`pg_dump` of one schema, a database that is dropped for a moment", "test/e2e", "TestDumpsOfOneSchema|TestDatabaseGoneForAMoment"},
}

// Words of the table.
const (
	passed = "yes"
	failed = "**no**"
	open   = "not tried"
)

// fetched finds the versions that .ci/need can fetch.
var fetched = regexp.MustCompile(`(?m)^\t(1\d)\) version=([\d.]+?)(?:-[\w.]+)? ;;`)

// part is where the table stands.
var part = regexp.MustCompile(`(?s)(<!-- versions -->\n).*?(<!-- end -->)`)

// folders are those of the tests that are tried.
var folders = []string{"db", "db/eventlog", "test/e2e"}

// results are what came out, by what was tried and then by version, as the document says.
type results map[string]map[string]string

func read(t *testing.T) (text string, known results) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "docs", "databases.md"))
	if err != nil {
		t.Fatal(err)
	}
	known = results{}
	lines := strings.Split(strings.TrimSpace(part.FindString(string(content))), "\n")
	if len(lines) < 3 {
		return string(content), known
	}
	head := cells(lines[1])
	for _, line := range lines[3 : len(lines)-1] {
		row := cells(line)
		known[row[0]] = map[string]string{}
		for i, came := range row[1:] {
			known[row[0]][head[i+1]] = came
		}
	}
	return string(content), known
}

func cells(line string) []string {
	row := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	return row
}

// versions are the versions that can be fetched, in full and in order.
func versions(t *testing.T) (full []string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(root, ".ci", "need"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range fetched.FindAllStringSubmatch(string(script), -1) {
		full = append(full, strings.TrimSuffix(match[2], ".0"))
	}
	if slices.Sort(full); len(full) < 6 {
		t.Fatalf("only %v can be fetched", full)
	}
	return full
}

// write writes the table.
func write(known results, full []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s |\n|%s\n", strings.Join(full, " | "), strings.Repeat("---|", len(full)+1))
	for _, row := range tried {
		fmt.Fprintf(&b, "| %s |", row.what)
		for _, version := range full {
			came := known[row.what][version]
			if came == "" {
				came = open
			}
			fmt.Fprintf(&b, " %s |", came)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// settle compares the document with what is known, or writes it.
func settle(t *testing.T, text string, known results) {
	t.Helper()
	made := part.ReplaceAllString(text, "${1}"+strings.ReplaceAll(write(known, versions(t)), "$", "$$")+"${2}")
	switch {
	case made == text && part.MatchString(text):
	case !*update:
		t.Errorf("docs/databases.md does not say what came out: go test ./test/versions -update, and read the difference")
	default:
		if err := os.WriteFile(filepath.Join(root, "docs", "databases.md"), []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTableOfVersions compares the table of docs/databases.md with what is tried here: every row,
// every version, and tests that are there.
func TestTableOfVersions(t *testing.T) {
	text, known := read(t)
	settle(t, text, known)
	for _, row := range tried {
		var there []string
		for _, folder := range strings.Fields(row.folders) {
			there = append(there, testsOf(t, folder)...)
		}
		for _, name := range expand(row.tests) {
			if !slices.Contains(there, name) {
				t.Errorf("%s: there is no %s", row.what, name)
			}
		}
	}
}

// expand lists the names that one of our patterns stands for: alternatives, each
// with at most one group of them.
func expand(pattern string) (names []string) {
	group := regexp.MustCompile(`^(\w*)(?:\(([\w|]*)\))?`)
	for pattern != "" {
		match := group.FindStringSubmatch(pattern)
		for _, end := range strings.Split(match[2], "|") {
			names = append(names, match[1]+end)
		}
		pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, match[0]), "|")
	}
	return names
}

// function finds the tests of a file.
var function = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testsOf lists the tests of a folder.
func testsOf(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range function.FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// verdict finds the end of a test in the output of go test -v.
var verdict = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+)`)

// TestVersions runs what is tried on the versions that VERSIONS names, as in VERSIONS="13 18"; on
// none where it is not set.
func TestVersions(t *testing.T) {
	text, known := read(t)
	full := versions(t)
	for _, major := range strings.Fields(os.Getenv("VERSIONS")) {
		at := slices.IndexFunc(full, func(v string) bool { return strings.HasPrefix(v, major+".") })
		if at < 0 {
			t.Fatalf("PostgreSQL %s cannot be fetched; there are %v", major, full)
		}
		programs, err := exec.Command(filepath.Join(root, ".ci", "need"), "postgres-"+major).Output()
		if err != nil {
			t.Fatalf("fetch PostgreSQL %s: %v", major, err)
		}
		ends := map[string]string{}
		for _, folder := range folders {
			maps.Copy(ends, run(t, folder, strings.TrimSpace(string(programs))))
		}
		for _, row := range tried {
			came := open
			for _, name := range expand(row.tests) {
				switch end := ends[name]; end {
				case "SKIP": // a program is missing, as pg_dump of this version
					t.Logf("PostgreSQL %s: %s was left out", full[at], name)
				case "PASS":
					if came == open {
						came = passed
					}
				default:
					t.Errorf("PostgreSQL %s: %s: %s", full[at], name, cmp.Or(end, "did not run"))
					came = failed
				}
			}
			if known[row.what] == nil {
				known[row.what] = map[string]string{}
			}
			known[row.what][full[at]] = came
		}
	}
	settle(t, text, known)
}

// run runs the tests of a folder with the PostgreSQL of some programs, and returns how each ended.
func run(t *testing.T, folder, programs string) (ends map[string]string) {
	t.Helper()
	var patterns []string
	for _, row := range tried {
		if slices.Contains(strings.Fields(row.folders), folder) {
			patterns = append(patterns, row.tests)
		}
	}
	command := exec.Command("go", "test", "-count=1", "-v", "-parallel=4", "-timeout=30m", "-run=^("+strings.Join(patterns, "|")+")$", "./"+folder)
	command.Dir = root
	command.Env = append(os.Environ(), "TEST_POSTGRES_BIN="+programs)
	output, err := command.CombinedOutput()
	ends = map[string]string{}
	for _, match := range verdict.FindAllStringSubmatch(string(output), -1) {
		ends[match[2]] = match[1]
	}
	if err != nil {
		t.Logf("%s\n%s", command, output)
	}
	return ends
}
