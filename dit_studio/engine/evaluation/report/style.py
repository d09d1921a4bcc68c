"""How the page of a report looks: light and dark as the reader's system is, black on white on paper."""

from dit_studio.plot_colours import ON_DARK, ON_LIGHT

_SHADES = {
    "light": "--ink:#1c1e22;--muted:#5a616b;--page:#fff;--card:#f5f6f8;--edge:#d5d9df;--red:#b3261e;--amber:#8a5a00;",
    "dark": "--ink:#eee;--muted:#a2a9b4;--page:#16181d;--card:#1f2228;--edge:#3a3f48;--red:#ff8a80;--amber:#f0b94a;",
}  # fmt: skip


def _palette(shade: str, colours: tuple[str, ...]) -> str:
    return _SHADES[shade] + "".join(f"--c{index}:{colour};" for index, colour in enumerate(colours))


_SERIES = "".join(f".s{index}{{--c:var(--c{index})}}" for index in range(len(ON_LIGHT)))

STYLE = f"""
:root{{color-scheme:light dark;{_palette("light", ON_LIGHT)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_palette("dark", ON_DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;max-width:68rem;padding:1.5rem;background:var(--page);color:var(--ink);
font:.95rem/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}}
h1{{font-size:1.7rem;margin:0}} h2{{font-size:1.25rem;margin:2.2rem 0 .5rem;border-bottom:1px solid var(--edge)}}
h3{{font-size:1.05rem;margin:1.6rem 0 .4rem}} p{{margin:.4rem 0}} a{{color:var(--c0)}}
.muted,figcaption,.why{{color:var(--muted);font-size:.87rem}}
.protocol{{font-size:.87rem;background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.5rem .7rem;
overflow-wrap:anywhere}}
.caution{{border-left:4px solid var(--edge);padding:.15rem .7rem;margin:.3rem 0}}
.caution.red{{border-color:var(--red)}} .caution.amber{{border-color:var(--amber)}}
.red b{{color:var(--red)}} .amber b{{color:var(--amber)}}
.wide{{overflow-x:auto}}
table{{border-collapse:collapse;width:100%;font-size:.87rem}}
th,td{{padding:.25rem .6rem;border-bottom:1px solid var(--edge);text-align:left;vertical-align:top}}
td.name{{white-space:nowrap}} tbody th{{padding-top:.7rem}}
td.number,th.number{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.plots{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));
gap:0 1.5rem;margin-bottom:1rem}}
figure{{margin:1rem 0}} figure img{{max-width:100%;border:1px solid var(--edge)}} svg{{max-width:100%;height:auto}}
img.samples{{image-rendering:pixelated;min-width:min(100%,20rem)}}
.pairs td{{text-align:center;border:0}}
.pairs img{{width:64px;height:64px;image-rendering:pixelated;border:2px solid var(--edge)}}
.pairs .close img{{border-color:var(--red)}}
.legend span{{margin-right:1rem;white-space:nowrap}}
.legend i{{display:inline-block;width:1.1rem;height:.3rem;margin-right:.35rem;vertical-align:middle;
background:var(--c)}}
.legend i.floor{{background:none;border-top:2px dashed var(--ink);height:0}}
{_SERIES}
svg .line{{stroke:var(--c);fill:none;stroke-width:2}} svg .dot,svg .bar{{fill:var(--c)}}
svg .whisker{{stroke:var(--c);stroke-width:4;stroke-opacity:.45}}
svg .whisker.ink{{--c:var(--ink);stroke-width:2;stroke-opacity:1}}
svg .floor{{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:6 4}}
svg .cross{{stroke:var(--ink);stroke-width:2.5}}
svg .grid{{stroke:var(--edge);stroke-width:1}} svg .axis{{stroke:var(--muted);stroke-width:1}}
svg .text{{fill:var(--muted);font-size:12px}}
@media print{{html{{font-size:11px}} body{{max-width:none;padding:0}}
.plots{{grid-template-columns:1fr 1fr}} nav{{display:none}}
figure,svg,tr,.caution,.pairs{{break-inside:avoid}} h2,h3{{break-after:avoid}}}}
"""
