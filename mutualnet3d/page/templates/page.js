// The playhead: the curve follows the film, and a click on the curve moves the film.
const parts = () => [".mn-film", ".mn-time", ".mn-now"].map((name) => element.querySelector(name));
const follow = () => {
  const [film, time, now] = parts();
  if (film && film.duration) {
    now.hidden = false;
    now.style.left = Math.min(100, 100 * film.currentTime / time.dataset.seconds) + "%";
  }
  requestAnimationFrame(follow);
};
follow();
element.addEventListener("click", (event) => {
  const curve = event.target.closest(".mn-curve"), [film, time] = parts();
  if (curve && film.duration) {
    const box = curve.getBoundingClientRect();
    film.currentTime = Math.min(film.duration, time.dataset.seconds * (event.clientX - box.left) / box.width);
  }
});
