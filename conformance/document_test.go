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
