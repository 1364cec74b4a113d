package cli

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/web"
)

// links returns the portal's pages that ours leads to. It refuses what is no address of a web page,
// and a template that would lead from every booking or listing to the same page.
func (c *serveCommand) links() (web.Links, error) {
	for _, link := range []struct {
		name, text string
		template   bool
	}{{"BOOKING_URL", c.BookingURL, true}, {"LISTING_URL", c.ListingURL, true}, {"PASSWORD_URL", c.PasswordURL, false}} {
		if link.text == "" {
			continue
		}
		u, err := url.Parse(strings.ReplaceAll(link.text, "{id}", "1"))
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return web.Links{}, fmt.Errorf("%s must be the address of a page, like https://portal.example/bookings/{id}", link.name)
		}
		if link.template && !strings.Contains(link.text, "{id}") {
			return web.Links{}, fmt.Errorf("%s must say where the id goes: write {id}, like https://portal.example/bookings/{id}", link.name)
		}
	}
	return web.Links{Booking: c.BookingURL, Listing: c.ListingURL, Password: c.PasswordURL}, nil
}
