package web

import (
	"encoding/json"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestClientDocsShowTheExample compares the page's code with the files of the example, which are
// built and driven in a browser.
func TestClientDocsShowTheExample(t *testing.T) {
	t.Parallel()
	body := get(t, New(Options{}), "/docs/client").Body.String()
	shown := regexp.MustCompile(`(?s)<pre[^>]*>// (app/[^\n]+)\n(.*?)</pre>`).FindAllStringSubmatch(body, -1)
	if len(shown) < 5 {
		t.Errorf("the page shows %d files", len(shown))
	}
	for _, block := range shown {
		file, err := os.ReadFile("../examples/nextjs/" + block[1])
		if err != nil {
			t.Error(err)
		} else if html.UnescapeString(block[2])+"\n" != string(file) {
			t.Errorf("%s is another one:\n%s", block[1], block[2])
		}
	}
}

// TestClientDocs holds the page for front-end developers to the policy, its links to what is
// served, and its examples to the package's names.
func TestClientDocs(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	page := get(t, site, "/docs/client")
	if page.Code != http.StatusOK || page.Header().Get("Content-Security-Policy") != contentSecurityPolicy {
		t.Fatalf("status %d, headers %v", page.Code, page.Header())
	}
	body := page.Body.String()
	if foreign := regexp.MustCompile(`<style|\sstyle=|\son[a-z]+="|(?:href|src)="(?:[a-z]+:)?//`).FindAllString(body, -1); foreign != nil {
		t.Errorf("the page contains %q", foreign)
	}
	for _, file := range regexp.MustCompile(`(?:href|src)="(/client/[^"]+)"`).FindAllStringSubmatch(body, -1) {
		if answer := get(t, site, file[1]); answer.Code != http.StatusOK {
			t.Errorf("%s: status %d", file[1], answer.Code)
		}
	}
	for _, anchor := range regexp.MustCompile(`href="#([a-z]+)"`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(body, `id="`+anchor[1]+`"`) {
			t.Errorf("nothing on the page is called %s", anchor[1])
		}
	}
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var pack struct {
		Name, Version string
		Exports       map[string]any
	}
	if err := json.Unmarshal(text, &pack); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body, pack.Name+"-"+pack.Version+".tgz") {
		t.Errorf("the page does not name the file of %s %s", pack.Name, pack.Version)
	}
	imports := regexp.MustCompile(`'`+pack.Name+`(/\w+)?'`).FindAllStringSubmatch(body, -1)
	if len(imports) < 4 {
		t.Errorf("the page imports only %q", imports)
	}
	for _, named := range imports {
		if pack.Exports["."+named[1]] == nil {
			t.Errorf("the package does not export %s", named[0])
		}
	}
	if docs := get(t, site, "/docs").Body.String(); !strings.Contains(docs, `href="/docs/client"`) {
		t.Error("/docs does not lead to the page")
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]*Site{"embedded": New(Options{}), "developing": New(Options{Dev: "static"})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := get(t, site, "/docs")
			if page.Code != http.StatusOK || page.Header().Get("Cache-Control") != cacheNever ||
				page.Header().Get("Content-Type") != "text/html; charset=utf-8" ||
				page.Header().Get("Content-Security-Policy") != contentSecurityPolicy {
				t.Errorf("status %d, headers %v", page.Code, page.Header())
			}
			body := page.Body.String()
			for _, forbidden := range []string{"<style", "style=", "onclick", "://"} {
				if strings.Contains(body, forbidden) {
					t.Errorf("the page contains %q", forbidden)
				}
			}
			files := regexp.MustCompile(`(?:href|src)="(/client/[^"]+)"`).FindAllStringSubmatch(body, -1)
			if len(files) < 4 {
				t.Errorf("the page names only %v", files)
			}
			for _, file := range files {
				if answer := get(t, site, file[1]); answer.Code != http.StatusOK {
					t.Errorf("%s: status %d", file[1], answer.Code)
				}
			}
			if answer := get(t, site, "/client/docs/none.js"); answer.Code != http.StatusNotFound {
				t.Errorf("an unknown file: status %d", answer.Code)
			}
		})
	}
}
