package api

import (
	"net/http"
	"net/url"
	"strings"
)

// origin is scheme, host and port of a page (RFC 6454, section 4), in lower case, the scheme's own
// port left out. It is empty for what has none: "null", a file.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + canonicalHost(scheme, u.Host)
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// ownOrigin reports whether a page's origin is that of the server which it asks.
//
// Only browsers are held to it, and a page of another site cannot have them say by what
// scheme they were sent. So a proxy's word for https is believed here from anybody, as is
// the browser's own for same-origin, that of Sec-Fetch-Site. A page by http is never of
// one origin with a server by https.
func (s *Server) ownOrigin(r *http.Request, page string) bool {
	page = origin(page)
	scheme, _, _ := strings.Cut(page, "://")
	proto, _ := outside(r.Header)
	secure := s.secure(r) || strings.EqualFold(proto, "https") ||
		scheme == "https" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	own := "http"
	if secure {
		own = "https"
	}
	switch page {
	case "":
		return false
	case origin(s.PublicURL):
		return true
	}
	return page == own+"://"+canonicalHost(own, r.Host)
}

// originAllowed reports whether a request was sent by a page of our own, by one of ALLOWED_ORIGINS,
// or by no browser's page at all.
func (s *Server) originAllowed(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) > 1 {
		return false
	}
	said := r.Header.Get("Origin")
	if said == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site"
	}
	return s.policy().allows(said) || s.ownOrigin(r, said)
}
