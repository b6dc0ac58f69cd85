"use strict";
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = document.getElementById("charts");
  if (charts) curves(charts, [{ name: "", columns: data.columns }]);
  if (data.scored) {
    classTables(document.getElementById("class-tables"), data.scored);
    reliability(document.getElementById("reliability"), data.scored);
  }
}
