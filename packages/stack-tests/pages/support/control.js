import { OPERATOR, PASSWORD, URLS } from "./environment.js";

export const CONTROL = URLS.get("control");

/** The elements of the control page that several stories use. */
export const elements = (page) => ({
  name: page.getByRole("textbox", { name: "Name" }),
  password: page.getByRole("textbox", { name: "Password" }),
  enter: page.getByRole("button", { name: "Sign in" }),
  leave: page.getByRole("button", { name: "Sign out" }),
  alert: page.getByRole("alert"),
  cards: page.getByRole("article"),
  storage: page.getByRole("article", { name: "storage", exact: true }),
  concepts: page.getByRole("region", { name: "Concepts" }),
  question: page.getByRole("alertdialog"),
});

export async function signIn(page, password = PASSWORD) {
  const { name, password: field, enter } = elements(page);
  await page.goto(CONTROL);
  await name.fill(OPERATOR);
  await field.fill(password);
  await enter.click();
}

/** The value of a fact on a card, such as the version. */
export const fact = (card, name) =>
  card.getByRole("term").filter({ hasText: name }).locator("xpath=following-sibling::dd");

/** Opens a view and waits for its heading. */
export async function openView(page, view, heading = view) {
  await page.getByRole("link", { name: view, exact: true }).click();
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}
