package handlers

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestContentIsSentOnce(t *testing.T) {
	t.Parallel()
	content := NewContent([]byte(`{"bookings":[]}`))
	tag := content.tag
	for name, test := range map[string]struct {
		held []string
		want int
	}{
		"nothing held":     {nil, http.StatusOK},
		"the same":         {[]string{tag}, http.StatusNotModified},
		"the same, strong": {[]string{tag[2:]}, http.StatusNotModified},
		"one of several":   {[]string{`"a", W/"b"`, `W/"c" ,` + tag}, http.StatusNotModified},
		"anything":         {[]string{"*"}, http.StatusNotModified},
		"another":          {[]string{`W/"another"`}, http.StatusOK},
		"unquoted":         {[]string{tag[3 : len(tag)-1]}, http.StatusOK},
		"garbage":          {[]string{`W/"`, ",,,", "\x00"}, http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["If-None-Match"] = test.held
		w := httptest.NewRecorder()
		w.Header().Set(PositionHeader, "here")
		content.respondPrivate(w, r)
		h := w.Header()
		if w.Code != test.want || (w.Body.Len() == 0) != (test.want == http.StatusNotModified) || h.Get("ETag") != tag ||
			h.Get("Cache-Control") != "private, no-cache" || h.Get(PositionHeader) != "here" {
			t.Errorf("%s: %d %v %q", name, w.Code, h, w.Body)
		}
	}
	if other := NewContent([]byte(`{"bookings":[1]}`)); other.tag == tag || NewContent([]byte(`{"bookings":[]}`)).tag != tag {
		t.Error("a tag is not its content's")
	}
}
