/* Sets the chosen appearance before the first paint. A classic script: it must not wait. */
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is closed: follow the system */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
