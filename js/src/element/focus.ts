// Where the focus is, as seen from an element with a shadow tree.

/** What has the focus in the tree that contains the element. */
export function focusedBeside(element: Element): Element | null {
  return (element.getRootNode() as Document | ShadowRoot).activeElement ?? null;
}

/** Whether the focus is in the element, or nowhere. */
export function mayTakeFocus(element: Element): boolean {
  const focused = focusedBeside(element);
  return !focused || focused === document.body || element.contains(focused);
}

/** Focuses the content that an element shows: the element with `autofocus`, or else the content's frame. */
export function focusContent(element: Element, content: HTMLElement, options?: FocusOptions): void {
  const wanted = element.querySelector<HTMLElement>("[autofocus]");
  wanted?.focus(options);
  if (wanted && focusedBeside(element) === wanted) return;
  content.tabIndex = -1;
  content.focus(options);
}

/** Remembers what has the focus in the element, and returns a function that says whether it has been hidden since. */
export function noteFocus(element: Element): () => boolean {
  const outer = focusedBeside(element);
  const inner = outer === element ? element.shadowRoot?.activeElement : null;
  return () => {
    if (inner) return inner.closest("[hidden]") !== null;
    return outer !== element && element.contains(outer) && outer?.getClientRects().length === 0;
  };
}
