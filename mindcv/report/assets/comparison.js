"use strict";
curves(document.getElementById("charts"), JSON.parse(document.getElementById("data").textContent).runs);
