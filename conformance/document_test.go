//go:build unix

package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const document = "../docs/conformance.md"

// row is a line of one of the tables in docs/conformance.md.
type row struct{ version, clause, demand, test string }

var rowPattern = regexp.MustCompile("^\\| (MQTT-[0-9.]+-[0-9]+) \\| (.+) \\| (`[^`]+`|missing) \\|$")

// suites are the tests by the versions' names in the document.
var suites = map[string]struct {
	function string
	clauses  []clause
}{
	"3.1.1": {"TestV311", v311},
	"5.0":   {"TestV5", v5},
}

// readDocument returns the rows of both tables.
func readDocument(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	version := ""
	for n, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, "## MQTT "); ok {
			version = v
		}
		if !strings.HasPrefix(line, "| MQTT-") {
			continue
		}
		m := rowPattern.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s:%d: not of the form | clause | demand | `package.Test/clause` |: %s", document, n+1, line)
			continue
		}
		rows = append(rows, row{version, m[1], m[2], strings.Trim(m[3], "`")})
	}
	return rows
}

// TestDocumentNamesTests checks that each test in the document exists: the function in the source of its package, and the
// subtest's name as a string in it.
func TestDocumentNamesTests(t *testing.T) {
	parsed := map[string]source{}
	for _, r := range readDocument(t) {
		if r.test == "missing" {
			continue
		}
		dir, rest, ok := strings.Cut(r.test, ".")
		name, sub, _ := strings.Cut(rest, "/")
		if !ok || !strings.HasPrefix(name, "Test") {
			t.Errorf("%s: %q is not of the form package.TestName/subtest", r.clause, r.test)
			continue
		}
		if _, ok := parsed[dir]; !ok {
			parsed[dir] = parseTests(t, filepath.Join("..", dir))
		}
		src := parsed[dir]
		if !src.functions[name] {
			t.Errorf("%s: %s has no function %s", r.clause, dir, name)
		}
		if sub != "" && !src.strings[sub] {
			t.Errorf("%s: %s has no subtest %q", r.clause, dir, sub)
		}
		if dir != "conformance" {
			continue
		}
		// The name may be a string of the other version's table: look closer.
		test := suites[r.version]
		if name != test.function || !slices.ContainsFunc(test.clauses, func(c clause) bool { return c.name == sub }) {
			t.Errorf("%s of MQTT %s: there is no %s", r.clause, r.version, r.test)
		}
	}
}

// TestDocumentIsComplete checks that the tables have each clause that is tested, once.
func TestDocumentIsComplete(t *testing.T) {
	documented := map[string]map[string]row{}
	for version := range suites {
		documented[version] = map[string]row{}
	}
	for _, r := range readDocument(t) {
		if documented[r.version] == nil {
			t.Fatalf("%s stands under a heading of no version that is tested: %q", r.clause, r.version)
		}
		if _, ok := documented[r.version][r.clause]; ok {
			t.Errorf("%s of MQTT %s has two rows", r.clause, r.version)
		}
		documented[r.version][r.clause] = r
	}
	for version, suite := range suites {
		seen := map[string]bool{}
		for _, c := range suite.clauses {
			if seen[c.name] {
				t.Errorf("%s of MQTT %s is tested twice under one name", c.name, version)
			}
			seen[c.name] = true
			r, ok := documented[version][c.name]
			if !ok {
				t.Errorf("%s of MQTT %s has a test and no row", c.name, version)
			} else if !strings.HasSuffix(r.test, "/"+c.name) {
				t.Errorf("%s of MQTT %s has a test of its own, the row names %s", c.name, version, r.test)
			}
		}
	}
}

// statements are the numbered normative statements of the two standards (their appendices B): section and highest number. No other number is
// left out than that of MQTT-2.2.1-1 of MQTT 5.0, which does not exist.
var statements = map[string]string{
	"3.1.1": `1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1 3.8.3:4
		3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3
		4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1`,
	"5.0": `1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10 3.4.2:3
		3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1
		3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2:1 4.3.1:1 4.3.2:5 4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1
		4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4`,
}

var (
	countPattern   = regexp.MustCompile(`Of ([0-9]+) statements ([0-9]+) bind a server`)
	leftOutPattern = regexp.MustCompile(`\b([0-9]+\.[0-9.]+)-([0-9]+)(?: to -([0-9]+))?`)
)

// TestDocumentNamesStatements checks that each statement of the standards has its row, or is named above the table as one that is left out, and that
// the numbers given there are right.
func TestDocumentNamesStatements(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	rows := readDocument(t)
	for version, sections := range statements {
		_, chapter, _ := strings.Cut(string(text), "## MQTT "+version+"\n")
		above, _, _ := strings.Cut(chapter, "\n| clause |")
		place := map[string]int{} // how often a statement has a row or is left out
		for _, m := range leftOutPattern.FindAllStringSubmatch(above, -1) {
			first, _ := strconv.Atoi(m[2])
			last, err := strconv.Atoi(m[3])
			if err != nil {
				last = first
			}
			for n := first; n <= last; n++ {
				place["MQTT-"+m[1]+"-"+strconv.Itoa(n)]++
			}
		}
		bind, missing := 0, 0
		for _, r := range rows {
			if r.version == version {
				bind++
				place[r.clause]++
			}
			if r.version == version && r.test == "missing" {
				missing++
			}
		}
		all := 0
		for _, section := range strings.Fields(sections) {
			name, highest, _ := strings.Cut(section, ":")
			last, err := strconv.Atoi(highest)
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= last; n++ {
				id := "MQTT-" + name + "-" + strconv.Itoa(n)
				if version == "5.0" && id == "MQTT-2.2.1-1" {
					continue
				}
				if all++; place[id] != 1 {
					t.Errorf("%s of MQTT %s has a row or is left out %d times, want once", id, version, place[id])
				}
				delete(place, id)
			}
		}
		for id := range place {
			t.Errorf("MQTT %s has no %s", version, id)
		}
		if m := countPattern.FindStringSubmatch(above); m == nil || m[1] != strconv.Itoa(all) || m[2] != strconv.Itoa(bind) {
			t.Errorf("MQTT %s: the page says %q; there are %d statements and %d rows", version, m, all, bind)
		}
		t.Logf("MQTT %s: %d statements, %d bind a server, %d of them have a test, %d are missing", version, all, bind, bind-missing, missing)
	}
}

// source is what the _test.go files of a package contain.
type source struct{ functions, strings map[string]bool }

func parseTests(t *testing.T, dir string) source {
	t.Helper()
	src := source{map[string]bool{}, map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				src.functions[n.Name.Name] = true
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					src.strings[s] = true
				}
			}
			return true
		})
	}
	return src
}
