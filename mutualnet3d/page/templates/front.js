element.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-mark]");
  if (row) trigger("click", { mark: Number(row.dataset.mark) });
});
