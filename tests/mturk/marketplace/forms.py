"""A QuestionForm and its AnswerKey, as tests use them."""

SCHEMAS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas"
QUESTION_FORM = f"""<?xml version="1.0" encoding="UTF-8"?>
<QuestionForm xmlns="{SCHEMAS}/2017-11-06/QuestionForm.xsd">
  <Overview><Title>Shapes</Title>
    <FormattedContent><![CDATA[<b>Look</b> closely.]]></FormattedContent></Overview>
  <Question>
    <QuestionIdentifier>corners</QuestionIdentifier>
    <DisplayName>Corners</DisplayName>
    <IsRequired>true</IsRequired>
    <QuestionContent><Text>How many corners has a square?</Text></QuestionContent>
    <AnswerSpecification><SelectionAnswer>
      <StyleSuggestion>radiobutton</StyleSuggestion>
      <Selections>
        <Selection><SelectionIdentifier>three</SelectionIdentifier><Text>Three</Text></Selection>
        <Selection><SelectionIdentifier>four</SelectionIdentifier><Text>Four</Text></Selection>
      </Selections>
    </SelectionAnswer></AnswerSpecification>
  </Question>
  <Question>
    <QuestionIdentifier>word</QuestionIdentifier>
    <DisplayName>A word</DisplayName>
    <IsRequired>true</IsRequired>
    <QuestionContent><Text>Name a shape.</Text></QuestionContent>
    <AnswerSpecification><FreeTextAnswer>
      <Constraints><Length minLength="1" maxLength="20"/></Constraints>
    </FreeTextAnswer></AnswerSpecification>
  </Question>
</QuestionForm>"""
ANSWER_KEY = f"""<?xml version="1.0" encoding="UTF-8"?>
<AnswerKey xmlns="{SCHEMAS}/2005-10-01/AnswerKey.xsd">
  <Question>
    <QuestionIdentifier>corners</QuestionIdentifier>
    <AnswerOption>
      <SelectionIdentifier>four</SelectionIdentifier><AnswerScore>5</AnswerScore>
    </AnswerOption>
  </Question>
  <QualificationValueMapping>
    <PercentageMapping><MaximumSummedScore>5</MaximumSummedScore></PercentageMapping>
  </QualificationValueMapping>
</AnswerKey>"""
