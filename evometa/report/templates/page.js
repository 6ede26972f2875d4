"use strict";
(function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function colors(printing) {
    if (dark.matches && !printing) return { text: "#e6e9ef", grid: "#363f4d", paper: "#14181f" };
    return { text: "#1c2330", grid: "#d9dde3", paper: "#ffffff" };
  }
  // Fills the colours of the page into a layout of Plotly.
  function themed(layout, printing) {
    const own = colors(printing), copy = JSON.parse(JSON.stringify(layout));
    copy.paper_bgcolor = own.paper;
    copy.plot_bgcolor = own.paper;
    copy.font = { color: own.text, family: "system-ui, sans-serif", size: 13 };
    copy.hoverlabel = { bgcolor: own.paper, font: { color: own.text } };
    for (const axis of ["xaxis", "yaxis"]) {
      if (copy[axis]) Object.assign(copy[axis], { gridcolor: own.grid, linecolor: own.grid });
    }
    for (const menu of copy.updatemenus || []) {
      Object.assign(menu, { bgcolor: "#e3e7ec", bordercolor: own.grid, font: { color: "#1c2330" } });  // Plotly's active one is white
    }
    const narrow = window.innerWidth < 600;
    if (narrow && copy.margin) copy.margin = Object.assign({}, copy.margin, { l: 44, r: 8 });
    return copy;
  }
  const config = {
    displaylogo: false, responsive: true, displayModeBar: window.innerWidth < 600 ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
  };
  function draw(printing) {
    for (const data of document.querySelectorAll("script.figure")) {
      const figure = JSON.parse(data.textContent);
      Plotly.react(data.previousElementSibling, figure.data, themed(figure.layout, printing), config);
    }
  }
  draw(false);
  dark.addEventListener("change", () => draw(false));
  window.addEventListener("beforeprint", () => draw(true));
  window.addEventListener("afterprint", () => draw(false));
  window.evometaDraw = draw;
})();
