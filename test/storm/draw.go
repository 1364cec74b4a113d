package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// The drawing's measures in pixels, and its colours, which stand on a white and on a dark page.
const (
	width, height       = 720, 360
	left, right         = 56, 16
	top, bottom         = 64, 44
	plotWidth           = width - left - right
	plotHeight          = height - top - bottom
	ink, rule           = "#6b7280", "#9ca3af"
	points              = 120 // of each curve
	legendStep, swatchW = 210, 24
)

// strokes tell the curves apart by colour and, for those who do not see colours, by dashes.
var strokes = []struct{ colour, dashes string }{{"#0284c7", ""}, {"#d97706", "8 4"}, {"#be185d", "2 3"}}

// draw returns the picture as SVG: how many per cent of the clients are back, over time.
func (p picture) draw(outcomes []outcome) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" font-family="system-ui, sans-serif" font-size="13" fill="%s">`+"\n",
		width, height, p.describe(outcomes), ink)
	fmt.Fprintf(&b, `<text x="%d" y="22" font-size="15" font-weight="600">%s</text>`+"\n", left, p.title)
	for percent := 0; percent <= 100; percent += 25 {
		y := p.y(float64(percent) / 100)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="%s" stroke-opacity=".4"/><text x="%d" y="%.1f" text-anchor="end">%d %%</text>`+"\n",
			left, y, width-right, rule, left-8, y+4, percent)
	}
	for i := range 7 {
		at := p.until * time.Duration(i) / 6
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g s</text>`+"\n", p.x(at), height-bottom+22, at.Seconds())
	}
	for i, o := range outcomes {
		stroke := strokes[i]
		x := left + i*legendStep
		fmt.Fprintf(&b, `<path d="M%d 44h%d" stroke="%s" stroke-width="2.5" stroke-dasharray="%s"/><text x="%d" y="48">%s</text>`+"\n",
			x, swatchW, stroke.colour, stroke.dashes, x+swatchW+6, p.scenarios[i].name)
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2.5" stroke-dasharray="%s"/>`+"\n",
			p.curve(o), stroke.colour, stroke.dashes)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// curve is the path of the part that is back at each moment.
func (p picture) curve(o outcome) string {
	var path strings.Builder
	back := 0
	for i := range points + 1 {
		at := p.until * time.Duration(i) / points
		for back < len(o.back) && o.back[back] <= at {
			back++
		}
		verb := 'L'
		if i == 0 {
			verb = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", verb, p.x(at), p.y(float64(back)/float64(len(o.back))))
	}
	return path.String()
}

// describe says in words what the picture shows.
func (p picture) describe(outcomes []outcome) string {
	parts := []string{p.title}
	for i, o := range outcomes {
		parts = append(parts, fmt.Sprintf("%s: half are back after %s, 99 of 100 after %s", p.scenarios[i].name,
			seconds(o.quantile(0.5)), seconds(o.quantile(0.99))))
	}
	return strings.Join(parts, ". ")
}

func (p picture) x(at time.Duration) float64 {
	return left + plotWidth*at.Seconds()/p.until.Seconds()
}

func (p picture) y(part float64) float64 { return top + plotHeight*(1-part) }
