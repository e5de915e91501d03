// charts.js: two kinds of charts over the last hour, drawn as SVG: stacked bars and lines. Read with eyes, pointer, keys (the arrow keys
// move the mark) and by readers (the label says what the mark shows).

const NAMESPACE = 'http://www.w3.org/2000/svg'
const WIDTH = 600
const HEIGHT = 150
const MARGIN = { left: 56, right: 8, top: 8, bottom: 20 }
const INNER = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom }

function shape(name, attributes, text) {
  const made = document.createElementNS(NAMESPACE, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}

/** The next round figure, whose half is one too; of milliseconds from a minute on, round minutes. */
function ceiling(value, isTime) {
  if (!(value > 0)) return 1
  if (isTime && value > 50_000) return [1, 2, 5, 10, 20, 60].map((minutes) => minutes * 60_000).find((step) => step >= value) ?? value
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value)
}

/**
 * A chart in `figure`, which holds an `svg` and an `output`.
 *
 * `kind` is 'bars' or 'lines', `series` the classes from the bottom up, `format` a figure's text, `describe` the text of one column.
 */
export class Chart {
  constructor(figure, { kind, series, format, describe, least }) {
    Object.assign(this, { kind, series, format, describe, least })
    this.svg = figure.querySelector('svg')
    this.readout = figure.querySelector('output')
    this.columns = []
    this.svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
    this.svg.setAttribute('tabindex', '0')
    this.svg.setAttribute('role', 'img')
    this.svg.addEventListener('pointermove', (event) => {
      const box = this.svg.getBoundingClientRect()
      this.point(Math.floor(((event.clientX - box.left) / box.width * WIDTH - MARGIN.left) / INNER.width * this.columns.length))
    })
    this.svg.addEventListener('pointerleave', () => this.point(null))
    this.svg.addEventListener('blur', () => this.point(null))
    this.svg.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
      if (!step) return
      event.preventDefault()
      this.point((this.pointed ?? this.columns.length) + step)
    })
  }

  /** Shows columns, oldest first: each `{ age, values }`, where a value may be null. */
  show(columns) {
    const wasPointed = this.pointed
    this.columns = columns
    const sums = columns.map(({ values }) => (this.kind === 'bars' ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values.map((value) => value ?? 0))))
    this.top = ceiling(Math.max(this.least, ...sums), this.kind === 'lines')
    const parts = [...this.axes(), ...(this.kind === 'bars' ? this.bars() : this.lines())]
    this.cursor = shape('line', { class: 'cursor', y1: MARGIN.top, y2: MARGIN.top + INNER.height, visibility: 'hidden' })
    this.svg.replaceChildren(...parts, this.cursor)
    this.point(wasPointed)
  }

  x(index) { return MARGIN.left + index / this.columns.length * INNER.width }
  y(value) { return MARGIN.top + INNER.height * (1 - value / this.top) }

  axes() {
    const parts = []
    for (const part of [0, 0.5, 1]) {
      const y = this.y(this.top * part)
      parts.push(shape('line', { class: part ? 'grid' : 'base', x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y, y2: y }))
      parts.push(shape('text', { class: 'tick', x: MARGIN.left - 7, y: y + 4, 'text-anchor': 'end' }, this.format(this.top * part)))
    }
    for (const minutes of [60, 45, 30, 15, 0]) {
      const x = MARGIN.left + (1 - minutes / 60) * INNER.width
      const anchor = minutes === 0 ? 'end' : minutes === 60 ? 'start' : 'middle'
      parts.push(shape('text', { class: 'tick', x, y: HEIGHT - 4, 'text-anchor': anchor }, minutes ? `−${minutes} min` : 'now'))
    }
    return parts
  }

  bars() {
    const parts = []
    const width = INNER.width / this.columns.length
    this.columns.forEach(({ values }, index) => {
      let base = 0
      values.forEach((value, place) => {
        if (!value) return
        const [bottom, top] = [this.y(base), this.y(base + value)]
        base += value
        parts.push(shape('rect', {
          class: this.series[place], x: this.x(index) + width * 0.12, y: top, width: width * 0.76, height: Math.max(bottom - top, 0.75), rx: 1 }))
      })
    })
    return parts
  }

  lines() {
    return this.series.map((name, place) => {
      let path = ''
      let isDown = false
      this.columns.forEach(({ values }, index) => {
        const value = values[place]
        if (value === null || value === undefined) {
          // A lone point is seen all the same.
          if (isDown) path += 'h1.5'
          isDown = false
          return
        }
        path += `${isDown ? 'L' : 'M'}${(this.x(index) + INNER.width / this.columns.length / 2).toFixed(1)} ${this.y(value).toFixed(1)}`
        isDown = true
      })
      if (isDown) path += 'h1.5'
      return shape('path', { class: name, d: path || 'M0 0' })
    })
  }

  point(index) {
    const isShown = index !== null && index !== undefined && this.columns.length > 0
    this.pointed = isShown ? Math.min(Math.max(index, 0), this.columns.length - 1) : null
    const column = this.columns[this.pointed ?? this.columns.length - 1]
    const text = column ? this.describe(column) : ''
    if (this.readout.textContent !== text) this.readout.textContent = text
    this.svg.setAttribute('aria-label', `${this.svg.dataset.title}. ${text}`)
    if (!this.cursor) return
    this.cursor.setAttribute('visibility', isShown ? 'visible' : 'hidden')
    if (!isShown) return
    const x = this.x(this.pointed + 0.5)
    this.cursor.setAttribute('x1', x)
    this.cursor.setAttribute('x2', x)
  }
}
