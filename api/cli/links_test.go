package cli

import (
	"testing"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"": true, "https://portal.example/b/{id}": true, "http://127.0.0.1:3000/b?id={id}#x": true,
		"javascript:alert({id})": false, "//portal.example/{id}": false, "/b/{id}": false, "https://portal.example/b": false,
		"https:///{id}": false, "data:text/html,{id}": false, "https://portal.example/%zz{id}": false,
	} {
		for name, c := range map[string]serveCommand{"booking": {BookingURL: text}, "listing": {ListingURL: text}} {
			if _, err := c.links(); (err == nil) != good {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
	}
	if _, err := (&serveCommand{PasswordURL: "https://portal.example/forgot"}).links(); err != nil {
		t.Error(err)
	}
	if _, err := (&serveCommand{PasswordURL: "javascript:0"}).links(); err == nil {
		t.Error("a script is taken for a page")
	}
}
