"""Colours of lines and bars, in the window and in reports: sets that any colour vision tells apart."""

ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442")  # Okabe & Ito 2008, no black
ON_LIGHT = ("#1760D9", "#B27B00", "#00985F", "#D10D38", "#C94F95", "#022B82", "#40470A")  # like these, but darker
