package web

import (
	"io/fs"
	"path"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

func TestStripped(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, source, want string }{
		{"a line's comment", "a.js", "a(); // why\nb();\n", "a();\nb();\n"},
		{"a block", "a.js", "/**\n * why\n */\na(/* @type {x} */ b);\n", "a(b);\n"},
		{"a block between tokens", "a.js", "return/*x*/a\n", "return a\n"},
		{"a block that ends a line ends a statement", "a.js", "a = b/*\n*/(c)\n", "a=b\n(c)\n"},
		{"empty lines", "a.js", "\n\na\n\n  // x\n\nb", "a\nb\n"},
		{"strings", "a.js", `a('// no', "/* no */", 'it\'s // no');`, `a('// no',"/* no */",'it\'s // no');` + "\n"},
		{"a template", "a.js", "a(`// no\n\n  /* no */ ${b /* yes */ + `//${c}` + {}} // no`); // yes", "a(`// no\n\n  /* no */ ${b + `//${c}` +{}} // no`);\n"},
		{"a regular expression", "a.js", `a = /[/]\/\/*"/.test(b) / 2; // yes`, `a=/[/]\/\/*"/.test(b)/ 2;` + "\n"},
		{"a regular expression after a word", "a.js", "return /'/g; // it's", "return /'/g;\n"},
		{"a division", "a.js", "a = b / c; // x / y", "a=b / c;\n"},
		{"an address", "a.js", "a('https://b');", "a('https://b');\n"},
		{"layout", "a.js", "  if ( a )  {\n\tb = c  +  -d ? e : `  ${ f }  `;\n  }", "if(a){\nb=c + -d?e:`  ${f }  `;\n}\n"},
		{"space that ends a token", "a.js", "return a in b + +c - --d", "return a in b + +c - --d\n"},
		{"space around a comment", "a.js", "a /* b */ (c /* d */ , e)", "a(c,e)\n"},
		{"a style's layout", "a.css", "  a  :hover,\n  b > c {\n\td: calc(1px + 2px);\n}", "a :hover,\nb > c {\nd: calc(1px + 2px);\n}\n"},
		{"a style", "a.css", "/* why */\na { content: \"/* no */\"; } /* yes */\n", "a { content: \"/* no */\"; }\n"},
		{"types stay", "a.d.ts", "/** why */\n", "/** why */\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(stripped(c.file, []byte(c.source))); got != c.want {
				t.Errorf("%q\nbecame %q\nwant   %q", c.source, got, c.want)
			}
		})
	}
	for _, broken := range []string{"/*", "'", "`", "`${", "/[", "a/", "'\\", "`\\"} {
		stripped("a.js", []byte(broken)) // ends
	}
}

// TestStrippedTwice finds a comment that was left, in our own files: what has none is not changed.
func TestStrippedTwice(t *testing.T) {
	t.Parallel()
	for _, folder := range []fs.FS{embedded, docsFolder} {
		err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			body, err := fs.ReadFile(folder, name)
			if err != nil {
				return err
			}
			once := string(stripped(name, body))
			if twice := string(stripped(name, []byte(once))); twice != once {
				t.Errorf("%s changes again", name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStrippedMeansTheSame has esbuild print each script and style as it is and as it is served:
// both must come out the same.
func TestStrippedMeansTheSame(t *testing.T) {
	t.Parallel()
	printed := func(name string, body []byte) string {
		t.Helper()
		loader := api.LoaderJS
		if path.Ext(name) == ".css" {
			loader = api.LoaderCSS
		}
		result := api.Transform(string(body), api.TransformOptions{Loader: loader, MinifyWhitespace: true, LegalComments: api.LegalCommentsNone})
		for _, message := range result.Errors {
			t.Errorf("%s: %s", name, message.Text)
		}
		return string(result.Code)
	}
	for _, folder := range []fs.FS{embedded, docsFolder, rootFolder} {
		err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".js" && path.Ext(name) != ".css" {
				return err
			}
			body, err := fs.ReadFile(folder, name)
			if err == nil && printed(name, stripped(name, body)) != printed(name, body) {
				t.Errorf("%s means something else as it is served", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
