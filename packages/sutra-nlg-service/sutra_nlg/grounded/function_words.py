"""Function words of common languages, which say nothing about a question's subject.

In other languages, only the rarity of words tells them apart.
"""

from sutra_nlg.grounded.words import fold

ENGLISH = """
    a about am an and any are as at be been but by can could did do does for from had has have how i if in into is it
    its many me much my of on or our please shall should show so some tell than that the their them then there these
    they this those to us was we were what when where which who whom whose why will with would you your explain describe
"""
GERMAN = """
    aber als am an auf aus bei bin bis bist da das dass dem den denn der des die dies diese dieser dieses du ein eine
    einem einen einer eines er es für gibt hat hatte haben ich ihr im in ist man mir mit nach nicht noch oder sich sie
    sind so über um und uns von vor wann war waren warum was welche welcher welches wem viel viele wen wenn wer werden
    wessen wie wieso wird wir wo wurde wurden zu zum zur
"""
FRENCH = """
    au aux avec ce ces cet cette comment d dans de des du elle en est et était il ils j je l la le les leur lui m mais
    mon ne nous on ont ou par pas pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa se ses son sont
    sur t tu un une vous y combien
"""
SPANISH = """
    a al como con cual cuales cuando cuanta cuantas cuanto cuantos de del donde el ella ellos en era es esta este esto
    fue ha han hay la las lo los mas me mi muy no nos o para pero por porque que quien quienes se ser si sin sobre son
    su sus te tu un una uno y yo
"""
ITALIAN_AND_PORTUGUESE = """
    ai al alla anche che chi ci com como con cosa da dal dalla das dei del della delle di do dos dove e em era essa
    esse fu foi gli ha i il io isso la le lo ma na não nel nella no non o onde os ou para per perché piu por
    qual quale quali quando quanti quanto quantos quem questo são se si sono su sua suo um uma un una uno
"""
DUTCH = """
    aan al als bij dat de deze die dit door een en er had heb heeft het hoe hoeveel ik in is je kan maar met naar niet
    of om op te tot uit van voor waar waarom wanneer waren was wat we welk welke werd wie worden wordt ze zijn zo
"""
RUSSIAN = """
    а без был была были было бы в вы где да для его ее если есть же за и из или их как какая какие какой какое ко когда
    который кто ли мне мои мы на не но о об он она они оно от по под почему при с сколько так то ты у чей чем что это я
"""
HINDI = """
    और कब कहाँ का कि की के कैसे को कौन क्या क्यों था थी थे ने पर में यह वह से है हैं
"""
ARABIC = """
    أين إلى التي الذي على عن في كم كيف لماذا ما ماذا متى من هذا هذه هل هو هي و
"""
# In languages without spaces, these are removed from the question instead.
CHINESE = (
    "什么",
    "甚麼",
    "什麼",
    "哪里",
    "哪裡",
    "哪个",
    "多少",
    "为什么",
    "為什麼",
    "怎么",
    "怎麼",
    "谁",
    "誰",
    "的",
    "是",
    "吗",
)
JAPANESE = (
    "何",
    "どこ",
    "いつ",
    "だれ",
    "なぜ",
    "どう",
    "ですか",
    "ますか",
    "です",
    "ます",
    "の",
    "は",
    "が",
    "を",
    "に",
)
KOREAN = ("무엇", "어디", "언제", "누구", "어느", "입니까", "인가요", "은 ", "는 ", "이 ", "가 ", "을 ", "를 ", "의 ")
SPACELESS = CHINESE + JAPANESE + KOREAN

FUNCTION_WORDS = frozenset(
    fold(word)
    for language in (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN_AND_PORTUGUESE, DUTCH, RUSSIAN, HINDI, ARABIC)
    for word in language.split()
)
