package web

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]*Site{"embedded": New(Options{}), "developing": New(Options{Dev: "static"})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := get(t, site, "/docs")
			if page.Code != http.StatusOK || page.Header().Get("Cache-Control") != cacheNever ||
				page.Header().Get("Content-Type") != "text/html; charset=utf-8" ||
				page.Header().Get("Content-Security-Policy") != ContentSecurityPolicy {
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
